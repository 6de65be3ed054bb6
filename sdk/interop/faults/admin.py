"""What is administered while a secured node is killed, and what its users and its audit log say of it afterwards."""

import json
import subprocess
import time

from harness import secured
from node import SUCCESS, Closed, Timeout, Wrong, check

CREATE_USER, UPDATE_USER, LIST_USERS = 3001, 3002, 3005


class Administration:
    """A node's security, and what was answered of the changes to it."""

    def __init__(self, security, binary):
        self.security, self.binary = security, binary
        # What each user may be now, and (activity, name, who did it) of what was answered since the last look.
        self.users, self.answered, self.told = {}, [], set()
        self.key, self.begun, self.trouble = None, None, None

    def started(self, node):
        """The node is up; for the first time, it gets the user of the load. Its log goes on with the key it had."""
        key = secured.public_key(node.said())
        check(self.key in (None, key), f"another audit log: {key} after {self.key}")
        if self.key is None:
            self.security.introduce(self.binary, self.security.load, node.namesrv)
        self.key = key

    def work(self, node, ended):
        """Makes users, and disables each second one, until the process is gone."""
        self.begun, count = int(1000 * time.time()), 0
        try:
            admin = self.security.admin.connect(node.broker, 15)
            while not ended.is_set():
                name = f"user-{node.runs}-{count}"
                self._change(admin, CREATE_USER, "AUTH_CREATE_USER", name, "enable", password=f"secret-of-{name}")
                if count % 2:
                    self._change(admin, UPDATE_USER, "AUTH_UPDATE_USER", name, "disable")
                count += 1
        except (Closed, Timeout, OSError):
            pass
        except Wrong as wrong:
            self.trouble = wrong

    def _change(self, admin, code, activity, name, status, **more):
        # Before the answer, which a kill may swallow: then the user is as before, or as told.
        self.users[name] = self.users.get(name, {None}) | {status}
        body = {"username": name, "userType": "Normal", "userStatus": status} | more
        answer = admin.call(code, {"username": name}, json.dumps(body).encode())
        check(answer.code == SUCCESS, f"{activity} {name}: {answer.code} {answer.remark}")
        self.users[name] = {status}
        self.answered.append((activity, name, "admin"))

    def topic_made(self, name):
        self.answered.append(("UPDATE_AND_CREATE_TOPIC", name, "load"))

    def verify(self, node):
        """After a kill: users are as answered, the audit log is whole and has all that was answered and all that is there, and
        strangers are kept out; how many changes were answered."""
        check(self.trouble is None, f"administration: {self.trouble}")
        admin = self.security.admin.connect(node.broker, 15)
        answer = admin.call(LIST_USERS, {"filter": ""})
        check(answer.code == SUCCESS, f"users: {answer.code} {answer.remark}")
        there = {user["username"]: user["userStatus"] for user in json.loads(answer.body)}
        secured.verify(self.binary, node.data, self.key)
        self.told |= self._recorded(node)
        missing = [change for change in self.answered if change not in self.told]
        check(not missing, f"answered, and not in the audit log: {missing[:5]}")
        for name, may in self.users.items():
            check(there.get(name) in may, f"the user {name} is {there.get(name)}, not {may}")
            check(name not in there or ("AUTH_CREATE_USER", name, "admin") in self.told, f"nothing tells who made {name}")
            self.users[name] = {there.get(name)}
        self._strangers(node)
        count, self.answered = len(self.answered), []
        return count

    def _recorded(self, node):
        command = [self.binary, "audit", "query", node.data, "--kind", "admin_command", "--outcome", "allowed", "--since", str(self.begun),
                   "--limit", "1000000", "--json"]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
        records = map(json.loads, done.stdout.splitlines())
        return {(record["activity_name"], resource["name"].removeprefix("topic:"), record["actor"]["user"]["name"])
                for record in records for resource in record.get("resources", [])}

    def _strangers(self, node):
        """TLS, users and policies are in force again."""
        self.security.strangers(node.broker, "kill-a")
        disabled = next((name for name, now in self.users.items() if now == {"disable"}), None)
        if disabled:
            answer = secured.send(secured.Signed(node.broker, self.security.root, disabled, f"secret-of-{disabled}", 15), "kill-a")
            check(answer.code == secured.NO_PERMISSION, f"a disabled user: {answer.code} {answer.remark}")

    def whole(self, node):
        """After a clean stop the audit log is signed to its end."""
        node.start()
        code = node.stop()
        check(code == 0, f"exit code {code}: {node.logged()[-600:]}")
        said = secured.verify(self.binary, node.data, self.key)
        check("; 0 not signed yet" in said, said)
        return said.replace("\n", ", ")
