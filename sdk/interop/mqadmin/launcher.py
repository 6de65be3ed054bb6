"""Starts one JVM that runs official mqadmin commands one after the other (see Launcher.java)."""

import os
import shutil
import subprocess
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
VERSION = os.environ.get("RMQ_VERSION", "5.3.3")
CACHE = os.environ.get("BLOCKHOUSE_INTEROP_DIR", os.path.join(HERE, "../../../target/interop"))
LIB = os.environ.get("RMQ_LIB", os.path.join(CACHE, f"mqadmin-{VERSION}"))
OPENS = [f"--add-opens=java.base/{package}=ALL-UNNAMED" for package in
         ("java.nio", "sun.nio.ch", "java.lang", "java.util")]
END = "\x01END\n"


def fetch():
    """The jars, from Maven Central, once."""
    done = os.path.join(LIB, ".done")
    if os.path.exists(done):
        return
    subprocess.run([os.environ.get("MVN", "mvn"), "-q", "-B", "-f", os.path.join(HERE, "pom.xml"),
                    "dependency:copy-dependencies", f"-DoutputDirectory={os.path.abspath(LIB)}",
                    f"-Drocketmq.version={VERSION}"], check=True, stdin=subprocess.DEVNULL,
                   stdout=subprocess.DEVNULL)
    with open(done, "w"):
        pass


class Jvm:
    """`ask` one command at a time; its output comes back as text."""

    def __init__(self, namesrv):
        self.directory = tempfile.mkdtemp(prefix="mqadmin-")
        environment = {name: value for name, value in os.environ.items() if name != "NAMESRV_ADDR"}
        environment["ROCKETMQ_HOME"] = self.directory
        self.log = open(os.path.join(self.directory, "stderr"), "w")
        self.process = subprocess.Popen(
            ["java", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Djava.security.manager=allow", *OPENS,
             f"-Duser.home={self.directory}", f"-Drocketmq.client.logRoot={self.directory}", "-cp",
             os.path.join(os.path.abspath(LIB), "*"), os.path.join(HERE, "Launcher.java"), namesrv],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log, text=True, encoding="utf-8",
            cwd=self.directory, env=environment)

    def ask(self, words):
        self.process.stdin.write("\t".join(words) + "\n")
        self.process.stdin.flush()
        out = []
        for line in self.process.stdout:
            if line == END:
                return "".join(out)
            out.append(line)
        raise SystemExit(f"the launcher ended during {words}:\n{''.join(out)}\n"
                         + open(os.path.join(self.directory, "stderr")).read()[-2000:])

    def close(self):
        self.process.stdin.close()
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
        self.log.close()
        shutil.rmtree(self.directory, ignore_errors=True)
