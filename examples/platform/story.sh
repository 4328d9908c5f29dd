#!/bin/sh
# A platform's customer from its first day to its last, with curl alone. Each step says what is expected, and ends the script
# where it is not so. PLATFORM_KEY holds a platform's key, with every scope; BASE_URL is the public listener.
set -eu
: "${PLATFORM_KEY:?a platform key, such as that of the ready file of tenantgate demo}"
api=${BASE_URL:-http://127.0.0.1:8080}/api/v1
ref=cust_$(date +%s)_$$
answer=$(mktemp)
trap 'rm -f "$answer"' EXIT

# call KEY METHOD PATH [curl's arguments]: leaves the status, the headers and the document of the answer.
call() {
    with=$1 method=$2 path=$3
    shift 3
    status=$(curl -sS -D "$answer" -o "$answer.json" -w '%{http_code}' -X "$method" "$api$path" -H "X-Api-Key: $with" "$@")
    cat "$answer.json" >>"$answer"
    rm -f "$answer.json"
}

json() { call "$1" "$2" "$3" -H 'Content-Type: application/json' -d "$4"; }

# The first text field of this name in the document.
field() { sed -n "s/.*\"$1\": *\"\([^\"]*\)\".*/\1/p" "$answer" | head -n 1; }

step() { printf '\n%s\n' "$*"; }

# expect STATUS [CODE]
expect() {
    code=$(field code)
    echo "  $status $code"
    if [ "$status" != "$1" ] || [ "$code" != "${2:-}" ]; then
        echo "  expected $1 ${2:-}" >&2
        cat "$answer" >&2
        exit 1
    fi
}

step 'A customer signs up: it becomes a tenant, found by the platform'\''s own id.'
json "$PLATFORM_KEY" POST /tenants "{\"name\": \"Acme\", \"external_ref\": \"$ref\"}"
expect 201
tenant=$(field id)
call "$PLATFORM_KEY" GET "/tenants?external_ref=$ref"
expect 200

step 'It gets a key of its own, which is shown only this once.'
json "$PLATFORM_KEY" POST /keys "{\"name\": \"Acme prod\", \"tenant_id\": \"$tenant\"}"
expect 201
key=$(field key) key_id=$(field id)

step 'With that key it sees itself and its plan.'
call "$key" GET "/tenants/$tenant"
expect 200
call "$key" GET /billing/plan
expect 200

step 'It sees nobody else, makes no tenants, and mints no keys.'
json "$PLATFORM_KEY" POST /tenants '{"name": "Globex"}'
other=$(field id)
call "$key" GET "/tenants/$other"
expect 404 NOT_FOUND
json "$key" POST /tenants '{"name": "Mine"}'
expect 403 TENANT_KEY_CANNOT_CREATE_TENANTS
json "$key" POST /keys '{"name": "mine"}'
expect 403 PLATFORM_ONLY
call "$key" GET /billing/plan -H "X-Tenant-Ref: $ref"
expect 403 TENANT_KEY_FORBIDDEN

step 'The next customer is made by the first request that names it, once.'
call "$PLATFORM_KEY" GET /billing/plan -H "X-Tenant-Ref: ${ref}_next"
expect 200
grep -qi '^x-tenant-created: true' "$answer"
call "$PLATFORM_KEY" GET /billing/plan -H "X-Tenant-Ref: ${ref}_next"
expect 200
if grep -qi '^x-tenant-created' "$answer"; then exit 1; fi

step 'A cap bounds what it may use in a month; null lifts it.'
json "$PLATFORM_KEY" PATCH "/tenants/$tenant/quota" '{"monthly_request_cap": 0}'
expect 200
call "$key" GET /billing/plan
expect 429 TENANT_QUOTA_EXCEEDED
json "$PLATFORM_KEY" PATCH "/tenants/$tenant/quota" '{"monthly_request_cap": null}'
expect 200
call "$key" GET /billing/plan
expect 200

step 'It does not pay: its calls are refused at once, and nothing resurrects it by accident.'
json "$PLATFORM_KEY" POST "/tenants/$tenant/suspend" '{"reason": "Non-payment"}'
expect 200
call "$key" GET /billing/plan
expect 403 TENANT_SUSPENDED
call "$PLATFORM_KEY" GET /billing/plan -H "X-Tenant-Ref: $ref"
expect 409 TENANT_NOT_USABLE

step 'It pays: its calls resume at once.'
call "$PLATFORM_KEY" POST "/tenants/$tenant/unsuspend"
expect 200
call "$PLATFORM_KEY" POST "/tenants/$tenant/unsuspend"
expect 409 TENANT_NOT_SUSPENDED
call "$key" GET /billing/plan
expect 200

step 'Its key has leaked: a new one takes its place, and the old one is good for nothing.'
call "$PLATFORM_KEY" POST "/keys/$key_id/roll"
expect 201
old=$key key=$(field key)
call "$old" GET /billing/plan
expect 401 KEY_REVOKED
call "$key" GET /billing/plan
expect 200

step 'An answer that was lost is had again, and nothing is done twice.'
call "$PLATFORM_KEY" POST /tenants -H 'Idempotency-Key: signup-'"$ref" -d '{"name": "Initech"}'
expect 201
first=$(field id)
call "$PLATFORM_KEY" POST /tenants -H 'Idempotency-Key: signup-'"$ref" -d '{"name": "Initech"}'
expect 201
[ "$(field id)" = "$first" ]

step 'It leaves: its calls are refused for good, its data stay.'
call "$PLATFORM_KEY" DELETE "/tenants/$tenant"
expect 200
call "$key" GET /billing/plan
expect 403 TENANT_ARCHIVED

step 'That was the whole life of a tenant.'
