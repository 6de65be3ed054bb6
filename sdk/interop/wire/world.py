"""One server side of a run: its addresses, its connections, and the names a case uses there."""

import json
import re
import time
from string import Template

import loose_json
from compare import observe
from remoting import ONEWAY, RESPONSE, Closed, Connection, Frame, Timeout
from steps import Notices, Sleep

PROBE = 9998  # a code no server knows: answered at once, so silence before it is silence


class Names:
    """The names of one case on one side, and how to hide them before comparing."""

    def __init__(self, side, case_id):
        mark = f"{side.run}{side.letter}"
        slug = re.sub("[^A-Za-z0-9]", "_", case_id)
        self.values = {"t": f"{mark}-{slug}", "t2": f"{mark}-{slug}-2", "g": f"{mark}-{slug}-g",
                       "g2": f"{mark}-{slug}-g2", "client": f"127.0.0.1@{mark}", "fake": f"{mark}-{slug}-broker",
                       "client2": f"127.0.0.1@{mark}second", "broker": side.broker_name,
                       "cluster": side.cluster, "broker_addr": side.broker_addr, "run": mark}
        self.hidden = [(mark, "RUN"), (side.broker_addr, "BROKER:PORT"), (side.broker_name, "BROKER"),
                       (side.cluster, "CLUSTER")]

    def fill(self, value):
        if isinstance(value, str):
            return Template(value).safe_substitute(self.values) if "$" in value else value
        if isinstance(value, dict):
            return {self.fill(key): self.fill(inner) for key, inner in value.items()}
        if isinstance(value, (list, tuple)):
            return [self.fill(inner) for inner in value]
        return value

    def hide(self, value):
        if not isinstance(value, str):
            return value
        for name, label in self.hidden:
            value = value.replace(name, label)
        return value


class Side:
    """`HOST:NS_PORT/HOST:BROKER_PORT`."""

    def __init__(self, letter, addresses, run):
        self.letter, self.run = letter, run
        self.namesrv_addr, self.broker_addr = addresses.split("/")
        with Connection(self.namesrv_addr) as connection:
            cluster = loose_json.loads(connection.call(106).body.decode())
        self.broker_name, self.cluster = None, None
        for name, data in cluster["brokerAddrTable"].items():
            if self.broker_addr in data["brokerAddrs"].values():
                self.broker_name, self.cluster = name, data["cluster"]
                self.broker_addr = data["brokerAddrs"].get("0", self.broker_addr)
        if not self.broker_name:
            raise SystemExit(f"{addresses}: the name server does not know that broker")

    def clean(self):
        """Deletes what the run created; thousands of topics would slow every tool down."""
        mark = self.run + self.letter
        with Connection(self.broker_addr, 60) as broker:
            for name in loose_json.loads(broker.call(201).body.decode())["subscriptionGroupTable"]:
                if mark in name:
                    broker.call(207, {"groupName": name, "cleanOffset": "true"})
            for name in loose_json.loads(broker.call(21).body.decode())["topicConfigTable"]:
                if mark in name:
                    broker.call(215, {"topic": name})
        with Connection(self.namesrv_addr, 60) as namesrv:
            for name in loose_json.loads(namesrv.call(206).body.decode())["topicList"]:
                if mark in name:
                    namesrv.call(216, {"topic": name})

    def play(self, case):
        """The observations of a case's compared steps."""
        names, connections, seen = Names(self, case.id), {}, []
        try:
            for step in case.steps:
                if isinstance(step, Sleep):
                    time.sleep(step.seconds)
                elif isinstance(step, Notices):
                    seen.append(self._notices(connections[("broker", step.via)], step, names))
                else:
                    answer = self._perform(connections, step, names)
                    if not step.quiet:
                        seen.append(observe(answer, step, names))
        finally:
            for connection in connections.values():
                connection.close()
        return seen

    def _perform(self, connections, step, names):
        deadline = time.monotonic() + step.timeout
        while True:
            answer = self._ask(connections, step, names)
            done = step.until is None or (isinstance(answer, Frame) and step.until(answer))
            if done or time.monotonic() > deadline:
                break
            time.sleep(0.02)
        if not done and step.quiet:
            raise RuntimeError(f"step {step.code} never became true: {answer}")
        if isinstance(answer, Frame):
            for name, get in step.save.items():
                names.values[name] = get(answer)
        return answer

    def _ask(self, connections, step, names):
        key = (step.to, step.via)
        if key not in connections:
            connections[key] = Connection(self.namesrv_addr if step.to == "namesrv" else self.broker_addr)
            connections[key].responder = lambda request: respond(request)
        connection = connections[key]
        body = step.body(names) if callable(step.body) else step.body
        if not isinstance(body, bytes):
            body = json.dumps(names.fill(body)).encode()
        frame = Frame(step.code, names.fill(step.ext), body, version=step.version, encoding=step.encoding,
                      language=step.language, flag=ONEWAY if step.oneway else 0)
        try:
            opaque = connection.send(frame)
            if not step.oneway:
                return connection.answer(opaque, step.timeout)
            probe = connection.send(Frame(PROBE))
            first = connection.next(step.timeout)
            return "silence" if first.flag & RESPONSE and first.opaque == probe else "an answer"
        except (Closed, Timeout) as error:
            del connections[key]
            connection.close()
            return "closed" if isinstance(error, Closed) else "no answer"

    def _notices(self, connection, step, names):
        try:
            while True:
                connection.pushed.append(connection.next(step.wait))
        except (Timeout, Closed):
            pass
        pushed = {f"{frame.code}.{key}": names.hide(value) for frame in connection.pushed
                  for key, value in (frame.ext or {"": ""}).items()}
        connection.pushed = []
        return pushed or {"notices": "none"}


def respond(request):
    """What our client says to requests the broker relays to it."""
    if request.code == 307:
        return Frame(0, {}, b'{"properties":{"PROP_CLIENT_VERSION":"V5_4_0"},"subscriptionSet":[],"mqTable":{},'
                            b'"statusTable":{},"jstack":"none"}')
    if request.code == 309:
        return Frame(0, {}, b'{"autoCommit":true,"consumeResult":"CR_SUCCESS","order":false,"spentTimeMills":1}')
    return None
