"""Certificates for scenes, made with the openssl command."""

import os
import subprocess


def openssl(*arguments):
    done = subprocess.run(["openssl", *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"openssl {' '.join(map(str, arguments[:2]))}: {done.stderr[-600:]}")


class Authority:
    """A root in a directory of its own, that issues, revokes, and lists what it revoked."""

    def __init__(self, directory, name="scene root"):
        self.directory, self.serial = directory, 1000
        os.makedirs(directory)
        self.cert, self.key, self.crl = (os.path.join(directory, file) for file in ("ca.pem", "ca.key", "crl.pem"))
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", self.key, "-out", self.cert,
                "-days", 30, "-subj", f"/CN={name}", "-addext", "keyUsage=critical,keyCertSign,cRLSign")
        self.config = os.path.join(directory, "ca.conf")
        index = os.path.join(directory, "index.txt")
        number = os.path.join(directory, "crlnumber")
        with open(self.config, "w") as out, open(index, "w"), open(number, "w") as first:
            first.write("01\n")
            # Extensions and a number make it a list of version 2, as RFC 5280 wants it.
            out.write(f"[ca]\ndefault_ca=it\n[it]\ndatabase={index}\ndefault_md=sha256\ndefault_crl_days=30\n"
                      f"certificate={self.cert}\nprivate_key={self.key}\ncrlnumber={number}\ncrl_extensions=extensions\n"
                      "[extensions]\nauthorityKeyIdentifier=keyid:always\n")
        self.list()

    def issue(self, name, names, at=None, days=20):
        """A certificate with these alternative names (`IP:..`, `URI:..`): its files, certificate first."""
        self.serial += 1
        cert, key = (os.path.join(at or self.directory, f"{name}.{kind}") for kind in ("pem", "key"))
        request, extensions = (os.path.join(self.directory, f"{name}.{kind}") for kind in ("csr", "ext"))
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", f"{key}.new", "-out", request,
                "-subj", f"/O=Example/OU=Apps/CN={name}")
        with open(extensions, "w") as out:
            out.write(f"subjectAltName={names}\n")
        openssl("x509", "-req", "-in", request, "-CA", self.cert, "-CAkey", self.key, "-set_serial", self.serial, "-days", days,
                "-extfile", extensions, "-out", f"{cert}.new")
        for file in (key, cert):
            os.replace(f"{file}.new", file)
        return cert, key

    def revoke(self, cert):
        openssl("ca", "-config", self.config, "-revoke", cert)
        self.list()

    def list(self):
        openssl("ca", "-config", self.config, "-gencrl", "-out", f"{self.crl}.new")
        os.replace(f"{self.crl}.new", self.crl)
