"""Arguments, what is skipped and why, and the order of the parts."""

import argparse

from . import clients, ending, paths, plugins, processes, report, servers, suite, tools

VERSIONS = "4.9.8,5.3.3,5.4.0"
PARTS = ("clients", "kill", "mixed", "plugins")


def arguments(argv):
    parser = argparse.ArgumentParser(prog="sdk/interop/run", description="Unmodified official clients against Blockhouse, "
                                     "and the same against Apache RocketMQ; a difference that a client can see is a failure.")
    parser.add_argument("--target", choices=("blockhouse", "java", "both"), default="both")
    parser.add_argument("--versions", default=VERSIONS, help=f"versions of the Java client (default {VERSIONS}; empty: none)")
    parser.add_argument("--no-go", action="store_true", help="leave the Go client out")
    parser.add_argument("--only", default="", help="scenario names, separated by commas (see --list); implies --parts clients")
    parser.add_argument("--parts", default=",".join(PARTS), help="clients: every scenario; kill: processes are killed under load; "
                        "mixed: both kinds of server in one cluster; plugins: what clients see of plugins (with --guests)")
    parser.add_argument("--binary", help="the blockhouse binary (default: the build under target/)")
    parser.add_argument("--guests", help="directory of the bundled plugins' components: everything runs with all of them bound, too, "
                        "and so does the part plugins")
    parser.add_argument("--security", action="store_true", help="everything runs with TLS only, signatures, policies and the audit log on, too")
    parser.add_argument("--list", action="store_true", help="print the scenario names")
    chosen = parser.parse_args(argv)
    if chosen.only and chosen.parts == ",".join(PARTS):
        chosen.parts = "clients"
    return chosen


def build_clients(chosen, out):
    """The clients that can be had; the others are skipped."""
    built = []
    makers = [(f"java-{version}", lambda version=version: clients.JavaClient(version))
              for version in chosen.versions.split(",") if version]
    if not chosen.no_go:
        makers.append(("go", clients.GoClient))
    for label, make in makers:
        try:
            built.append(make())
        except tools.Missing as missing:
            out.skipped(f"all scenarios of the client {label}", missing)
        except RuntimeError as problem:
            out.failed(f"building the client {label}", [problem])
    return built


def available(chosen, out):
    """What can start the servers: "blockhouse", the same with all plugins or all of security (or both) as "everything", and "java"."""
    software = {}
    if chosen.target != "java":
        binary = paths.binary(chosen.binary)
        if binary is None or not binary.is_file():
            out.failed("blockhouse", [f"no binary under {paths.TARGET}; build it, or name one with --binary"])
        else:
            software["blockhouse"] = servers.Blockhouse(binary)
            if chosen.guests or chosen.security:
                software["everything"] = servers.Blockhouse(binary, chosen.guests, security=chosen.security)
    if chosen.target != "blockhouse":
        peer = paths.peer()
        if peer is None:
            out.skipped("the comparison with Apache RocketMQ, and mixed clusters", "no Java servers: BLOCKHOUSE_PEER names no directory")
        else:
            try:
                software["java"] = servers.Java(peer)
            except (tools.Missing, RuntimeError) as problem:
                out.skipped("the comparison with Apache RocketMQ, and mixed clusters", problem)
    return software


def main(argv):
    ending.unwind_on_sigterm()
    chosen = arguments(argv)
    out = report.Report()
    built = build_clients(chosen, out)
    if chosen.list:
        print("\n".join(dict.fromkeys(name for client in built for name in client.names())))
        return 0
    software = available(chosen, out)
    parts = chosen.parts.split(",")
    only = [name for name in chosen.only.split(",") if name]
    if software and "clients" in parts:
        scenarios = suite.Suite(out, software, only)
        scenarios.run(built)
        if {"blockhouse", "java"} <= software.keys() and not only and len(built) == len(VERSIONS.split(",")) + 1:
            scenarios.complete()
    java_clients = [client for client in built if client.label.startswith("java")]
    if java_clients and "kill" in parts:
        # The oldest client and the newest.
        affected = list(dict.fromkeys((java_clients[0], java_clients[-1])))
        for kind in sorted(software):
            if kind != "java" or chosen.target == "java":
                processes.kill_and_restart(out, affected, kind, software)
    if software and "mixed" in parts:
        if chosen.target == "java" and "java" in software:
            kinds = ["java", "java"]
        elif {"blockhouse", "java"} <= software.keys():
            kinds = ["blockhouse", "java"]
        else:
            kinds = None
        newest = java_clients[-1:] + [client for client in built if client.label == "go"]
        if kinds and newest:
            processes.mixed(out, newest, kinds, software, only)
    if "everything" in software and software["everything"].guests and "plugins" in parts:
        go = [client for client in built if client.label == "go"]
        plugins.run(out, list(dict.fromkeys([*java_clients[:1], *java_clients[-1:], *go])), software["everything"], only)
    return out.end()
