"""Users of a tenant. No statement here names a tenant: the transaction sees one schema only."""

from __future__ import annotations

from psycopg.errors import UniqueViolation
from psycopg.rows import dict_row
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from .passwords import hashed
from .tenancy import Tenancy


class NewUser(BaseModel):
    name: str = Field(min_length=1, max_length=200)
    email: str = Field(pattern=r"^[^@\s]+@[^@\s]+$", max_length=254)
    password: str = Field(min_length=8, max_length=1024)
    role: str = Field(default="staff", pattern=r"^[a-z_]{1,32}$")


class Users:
    def __init__(self, tenancy: Tenancy) -> None:
        self._tenancy = tenancy

    def routes(self) -> list[Route]:
        return [
            Route("/api/v1/users", self.list, methods=["GET"]),
            Route("/api/v1/users", self.create, methods=["POST"]),
            Route("/api/v1/users/{id:int}", self.show, methods=["GET"]),
        ]

    async def list(self, request: Request) -> JSONResponse:
        identity = await self._tenancy.gateway.identify(request)
        async with self._tenancy.transaction(identity) as connection:
            rows = await connection.cursor(row_factory=dict_row).execute("SELECT id, name, email, role FROM users ORDER BY id")
            return JSONResponse({"tenant": identity.tenant, "users": await rows.fetchall()})

    async def create(self, request: Request) -> JSONResponse:
        identity = await self._tenancy.gateway.identify(request)
        new = NewUser.model_validate_json(await request.body())
        password_hash = await hashed(new.password)
        async with self._tenancy.transaction(identity) as connection:
            try:
                rows = await connection.cursor(row_factory=dict_row).execute(
                    "INSERT INTO users (name, email, role, password_hash) VALUES (%s, %s, %s, %s)"
                    " RETURNING id, name, email, role",
                    (new.name, new.email, new.role, password_hash),
                )
            except UniqueViolation as error:
                raise HTTPException(409, "a user with this e-mail address exists") from error
            return JSONResponse(await rows.fetchone(), 201)

    async def show(self, request: Request) -> JSONResponse:
        identity = await self._tenancy.gateway.identify(request)
        async with self._tenancy.transaction(identity) as connection:
            rows = await connection.cursor(row_factory=dict_row).execute(
                "SELECT id, name, email, role FROM users WHERE id = %s", (request.path_params["id"],)
            )
            user = await rows.fetchone()
        if user is None:
            raise HTTPException(404, "no such user")
        return JSONResponse(user)
