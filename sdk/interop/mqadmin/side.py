"""What one server says to mqadmin commands, and how two servers' words are judged."""

import re
import time

import launcher

TIME = re.compile(r"\d{4}-\d\d-\d\d[ #]\d\d:\d\d:\d\d([,:.]\d{1,3})?")
FAILURE = re.compile(r"(?m)^(?:Caused by: )?(?:\w+\.)+\w+(?:Exception|Error)\b.*$")
MASKS = [(TIME, "TIME"), (re.compile(r"\b\d{13}\b"), "MILLIS"), (re.compile(r"\b[0-9A-F]{32,56}\b"), "ID"),
         (re.compile(r"/?(\d+\.){3}\d+:\d+"), "ADDR"), (re.compile(r"\b(\d+\.){3}\d+@"), "IP@"), (re.compile(r"\bV\d+_\d+_\d+\w*"), "VERSION"),
         (re.compile(r"\d+(\.\d+)?\((\d+,)+?\d+ms(\|[\d,ms]+)?\)"), "TPS"), (re.compile(r"\d+-\d+\([\d.]+w"), "TIMER("), (re.compile(r"\b\d+\.\d+\b"), "REAL"),
         (re.compile(r"(?<=CLUSTERING )\d+(?= -?\d+$)"), "TPS"),  # of consumerProgress
         (re.compile(r"(OffSet|Offset): {1,}\d{3,}"), r"\1: N"), (re.compile(r"OK, [1-9]\d*"), "OK, N"),
         (re.compile(r"(?<=costTime=)\d+|(?<=spentTimeMills=)\d+|\d+(?=ms)"), "N"), (re.compile(r"/tmp/\S+|\S+/bodys/\S+"), "PATH")]


class Side:
    """A name server's view. `$broker` and `$addr` are its first broker; a second is `$broker2` and `$addr2`."""

    def __init__(self, namesrv, run):
        self.jvm = launcher.Jvm(namesrv)
        self.run, self.namesrv = run, namesrv
        listed = collapse(self.jvm.ask(["clusterList"]))
        masters = sorted(re.findall(r"(?m)^(\S+) (\S+) 0 (\S+:\d+) ", listed))
        if not masters:
            raise SystemExit(f"{namesrv}: clusterList shows no master:\n{listed}")
        cluster, broker, addr = masters[0]
        host, port = addr.rsplit(":", 1)
        here = "".join(f"{int(part):02X}" for part in host.split(".")) + f"{int(port):08X}"
        self.names = {"t": f"{run}-t", "t2": f"{run}-t2", "g": f"{run}-g", "g2": f"{run}-g2", "p": f"{run}-p", "run": run,
                      "broker": broker, "addr": addr, "cluster": cluster, "ns": namesrv, "no_id": "0" * 32,
                      "broker_id": here + "0000000F00000000"}
        for _, second, second_addr in masters[1:2]:
            self.names |= {"broker2": second, "addr2": second_addr}
        self.addresses = {self.names[name] for name in ("addr", "addr2", "ns") if name in self.names}

    def fill(self, text, pattern=False):
        def value(match):
            name = match.group(1)
            if name not in self.names:
                return match.group()
            return re.escape(self.names[name]) if pattern else self.names[name]
        return re.sub(r"\$([a-z][a-z_0-9]*)", value, text)

    def perform(self, row):
        """(lines to compare, complaint or None)."""
        words = [self.fill(word).replace("\u00a0", " ") for word in row.words]
        deadline = time.monotonic() + row.retry
        while True:
            output = collapse(self.jvm.ask(words))
            complaint = self.complaint(row, output)
            if not complaint or time.monotonic() > deadline:
                break
            time.sleep(0.5)
        for name, pattern in row.save.items():
            found = re.search(self.fill(pattern, True), output)
            if found:
                self.names[name] = found.group(1)
        return self.comparable(row, output), complaint

    def complaint(self, row, output):
        if FAILURE.search(output) and not row.fails:
            return "failed: " + " / ".join(FAILURE.findall(output)[:2])[:300]
        visible = re.sub(r"/?(\d+\.){3}\d+:\d+", lambda m: m.group() if m.group().lstrip("/") in self.addresses
                         else "/ADDR" if m.group()[0] == "/" else "ADDR", output)
        for fact in row.facts:
            pattern = self.fill(fact, True)
            if not re.search(pattern, visible) and not re.search(pattern.replace("ADDR", r"\S+:\d+"), output):
                return f"does not say {fact!r}"
        return None

    def comparable(self, row, output):
        lines = [line for line in output.splitlines() if line and not line.startswith(("at ", "... "))
                 and "For more information" not in line and "NativeMethod" not in line]
        if row.only:
            lines = [line for line in lines if re.search(self.fill(row.only, True), line)]
        if row.drop:
            lines = [line for line in lines if not re.search(self.fill(row.drop, True), line)]
        if FAILURE.search(output):  # the kind and the code, not the wording
            lines = [re.sub(r"DESC: .*", "", line) for line in lines if "Exception" in line or "CODE" in line]
        lines = [self.mask(line) for line in lines]
        return sorted(lines) if row.unordered else lines

    def mask(self, line):
        hidden = [(self.run, "RUN"), (self.names["addr"], "ADDR"), (self.namesrv, "ADDR"), (self.names["broker"], "BROKER"),
                  (self.names["cluster"], "CLUSTER")]
        if "broker2" in self.names:
            hidden += [(self.names["addr2"], "ADDR2"), (self.names["broker2"], "BROKER2")]
        for name, label in hidden:
            line = line.replace(name, label)
        for pattern, label in MASKS:
            line = pattern.sub(label, line)
        return line


def collapse(text):
    return "\n".join(re.sub(r"\s+", " ", line).strip() for line in text.splitlines())


def judge(row, results):
    """(failed, notes) of one row over one or two sides. A fact that the reference does not say either is not a fact: it fails as well."""
    notes = [f"{'ab'[n]}: {complaint}" for n, (_, complaint) in enumerate(results) if complaint]
    failed = bool(notes)
    if len(results) == 2 and row.compare and results[0][0] != results[1][0]:
        notes += [f"a: {line}" for line in results[0][0] if line not in results[1][0]][:8]
        notes += [f"b: {line}" for line in results[1][0] if line not in results[0][0]][:8]
        failed = True
    return failed, notes
