"""One policy, one file. A module `jwt_bearer` holds the class `JwtBearer`; `gateway.yaml` names it `jwt_bearer`."""
