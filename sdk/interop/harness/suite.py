"""The scenarios of every client against every target, side by side where there are two."""

from concurrent.futures import ThreadPoolExecutor

from . import compare, everything, plugins, secured, servers


class Suite:
    """`software` maps "blockhouse", "everything" and "java" to what starts them; some of them may be absent."""

    def __init__(self, report, software, only):
        self.report = report
        self.software = software
        self.only = only
        self.listed = compare.listed()

    def chosen(self, names):
        """Without those that need plugins, which have a part of their own."""
        return [name for name in names if (not self.only or name in self.only) and not plugins.mine(name)]

    def run(self, clients):
        """Starts one server per target for all clients."""
        work = [(client, self.chosen(client.names())) for client in clients]
        if not any(names for _, names in work):
            return
        targets = sorted(self.software)
        clusters = {target: servers.single(target, self.software[target]) for target in targets}
        try:
            for cluster in clusters.values():
                cluster.ready()
            for client, names in work:
                if names:
                    self._client(client, names, clusters)
        except RuntimeError as problem:
            self.report.failed("servers", [problem])
        finally:
            for target, cluster in clusters.items():
                for standalone in cluster.others:
                    if self.software[target].guests:
                        self._plugins(standalone)
                    if standalone.security:
                        self._strangers(standalone)
                    self._stop(target, standalone)
                    if standalone.security:
                        self._audit(standalone)
            for cluster in clusters.values():
                cluster.__exit__()

    def complete(self):
        """After a run of everything: whatever docs/differences.md lists was seen."""
        stale = self.listed.unused()
        if stale:
            self.report.failed("listed differences", stale)

    def _plugins(self, standalone):
        """All their hooks were called, and none failed: what clients saw is what they see with plugins at work."""
        # Some scenarios alone need not administer anything.
        but = everything.ADMINISTRATION if self.only else frozenset()
        try:
            calls = everything.calls(standalone.ops, standalone.security and standalone.security.admin, but)
            self.report.passed("everything was called", 0, f"{calls} calls")
        except (OSError, ValueError) as problem:
            self.report.failed("everything was called", [problem])

    def _strangers(self, standalone):
        """What clients saw is what those see who are let in; others are not."""
        try:
            said = standalone.security.strangers(standalone.broker, "TBW102")
            self.report.passed("everything refuses strangers", 0, said)
        except (OSError, RuntimeError, secured.Closed, secured.Timeout) as problem:
            self.report.failed("everything refuses strangers", [problem])

    def _audit(self, standalone):
        try:
            self.report.passed("everything's audit log", 0, standalone.audited())
        except (RuntimeError, StopIteration) as problem:
            self.report.failed("everything's audit log", [problem])

    def _stop(self, target, standalone):
        """Asked for by SIGTERM, the process ends by itself, in under 5 s."""
        took = standalone.stop()
        if took is None:
            self.report.failed(f"{target} stays up", [f"it had ended with {standalone.process.returncode}"])
        elif took < 5 and standalone.process.returncode == 0:
            self.report.passed(f"{target} stops on SIGTERM", took * 1000)
        else:
            self.report.failed(f"{target} stops on SIGTERM", [f"{took:.1f} s, exit code {standalone.process.returncode}"])

    def _client(self, client, names, clusters):
        found = self._once(client, names, clusters)
        for name in names:
            transcripts = {target: found[target][name] for target in clusters}
            reasons = self._judge(transcripts)
            note = ""
            if reasons:
                # Clients have races of their own on a busy machine: what fails twice, the second time alone, has failed.
                again = self._once(client, [name], clusters)
                transcripts = {target: again[target][name] for target in clusters}
                first, reasons = reasons, self._judge(transcripts)
                note = f"at the second attempt, after: {first[0][:200]}"
            test = f"{client.label} {name}"
            if reasons:
                self.report.failed(test, reasons)
            else:
                self.report.passed(test, max(transcript["ms"] for transcript in transcripts.values()), note)

    def _once(self, client, names, clusters):
        with ThreadPoolExecutor(len(clusters)) as pool:
            runs = {target: pool.submit(client.run, cluster.namesrv_addresses()[0], cluster.broker_addresses(), names,
                                        cluster.directory / client.label, cluster.environment()) for target, cluster in clusters.items()}
            return {target: run.result() for target, run in runs.items()}

    def _judge(self, transcripts):
        reasons = [f"{target}: {why}" for target, transcript in transcripts.items() if transcript["outcome"] != "ok"
                   for why in transcript["why"] or ["no reason given"]]
        if not reasons and "java" in transcripts:
            for target in sorted(transcripts.keys() - {"java"}):
                reasons += compare.differences(transcripts[target], transcripts["java"], self.listed)
        return reasons
