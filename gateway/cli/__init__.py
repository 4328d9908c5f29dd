"""The command `tenantgate`. Each command is a function of its own module, which imports what is heavy only when it runs."""

from __future__ import annotations

import typer

from .audit import audit
from .bench import bench
from .check import check, schema
from .demo import demo
from .keys import keys
from .plans import plans
from .serve import serve
from .sign import sign
from .tenants import tenants
from .token import token
from .transfer import export, import_
from .usage import usage

app = typer.Typer(
    name="tenantgate",
    help="A reverse-proxy gateway that makes existing services safe for many tenants.",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,  # They would show secrets.
)

app.command()(serve)
app.command()(demo)
app.command()(check)
app.command()(schema)
app.command()(sign)
app.command()(token)
app.command()(bench)
app.add_typer(audit)
app.add_typer(usage)
app.add_typer(tenants)
app.add_typer(keys)
app.command()(plans)
app.command()(export)
app.command("import")(import_)
