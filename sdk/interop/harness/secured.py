"""A node with all of security switched on: TLS only, users who sign, policies that say what each may do, and the audit log."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parent.parent / "security"))
from certificates import Authority  # noqa: E402

# One rule decides for the load, and there are others to look past.
POLICY = """\
p, role:load, *, Topic:*, Pub|Sub|Get|Create, -, allow
p, role:load, *, Group:*, Sub|Get|Update, -, allow
p, role:load, *, Cluster:*, Get|List, -, allow
p, role:load, *, Topic:forbidden-*, All, -, deny
g, user:load, role:load, default
"""
NOBODY = "p, user:somebody-{0}, *, Topic:elsewhere-{0}-*, Pub, ip=10.0.0.0/8, allow\n"


def private(path, text):
    path.write_text(text)
    path.chmod(0o600)
    return path


def configure(work):
    """The node's configuration in TOML, and the options with which our tools reach it as the user `load`.

    That user must be made: `commands` says how, once the node is up."""
    work = Path(work).resolve()
    work.mkdir(parents=True)
    authority = Authority(str(work / "ca"))
    cert, key = authority.issue("server", "IP:127.0.0.1", str(work))
    policies = work / "policies"
    policies.mkdir()
    (policies / "load.csv").write_text(POLICY + "".join(NOBODY.format(number) for number in range(1000)))
    admin, load = private(work / "admin", "admin:everything-admin-secret\n"), private(work / "load", "everything-load-secret\n")
    private(work / "admin-secret", "everything-admin-secret\n")
    toml = f"""
[tls]
mode = "enforcing"
cert = "{cert}"
key = "{key}"
outgoing = {{ enabled = true, ca = "{authority.cert}" }}
[authn]
enabled = true
key_file = "{work / 'users.key'}"
initial_user_file = "{admin}"
[authz]
enabled = true
policies = "{policies}"
[audit]
enabled = true
"""
    return toml, {"ca": authority.cert, "user": "load", "secret": str(load), "admin-secret": str(work / "admin-secret")}


def commands(options):
    """What tools of ours are told, as the administrator and as the user `load`."""
    tls = ["--tls-ca", options["ca"]]
    return ([*tls, "--access-key", "admin", "--secret-key-file", options["admin-secret"]],
            [*tls, "--access-key", options["user"], "--secret-key-file", options["secret"]])
