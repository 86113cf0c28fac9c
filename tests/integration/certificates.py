"""certificates.py - makes certificates of P-256 with the openssl command, as OPERATING.md does."""

import os
import subprocess

import harness

CONFIG = """
[ca]
default_ca = here
[here]
database = {folder}/index
serial = {folder}/serial
crlnumber = {folder}/crlnumber
default_md = sha256
default_crl_days = 30
policy = any
unique_subject = no
[any]
commonName = supplied
"""


def is_built():
    """Whether the daemon speaks TLS: it may be built without OpenSSL."""
    return 'tls yes' in subprocess.run([harness.program('repstored'), '--version'], stdout=subprocess.PIPE, text=True,
                                       check=True).stdout


def openssl(*args, **options):
    return subprocess.run(['openssl', *args], check=True, capture_output=True, text=True, **options).stdout


class Authority:
    """An authority in a folder of its own, and the certificates that it signs."""

    def __init__(self, folder, name='authority'):
        self.folder = os.path.join(folder, name)
        os.mkdir(self.folder)
        self.key = os.path.join(self.folder, 'authority.key')
        self.path = os.path.join(self.folder, 'authority.pem')
        self.crl = os.path.join(self.folder, 'crl.pem')
        self.config = os.path.join(self.folder, 'config')
        with open(self.config, 'w', encoding='ascii') as file:
            file.write(CONFIG.format(folder=self.folder))
        for file, text in (('index', ''), ('serial', '01\n'), ('crlnumber', '01\n')):
            with open(os.path.join(self.folder, file), 'w', encoding='ascii') as out:
                out.write(text)
        openssl('req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '365',
                '-subj', '/CN=' + name, '-keyout', self.key, '-out', self.path)

    def issue(self, name, alternatives='', days=30, extra='', kind='P-256', start=None, end=None):
        """(certificate, key); the paths of both. kind: of the key, a curve or rsa:BITS."""
        path = os.path.join(self.folder, name.replace('/', '_').replace('*', '_'))
        key, asked, made = path + '.key', path + '.csr', path + '.pem'
        made_as = [kind] if kind.startswith('rsa:') else ['ec', '-pkeyopt', 'ec_paramgen_curve:' + kind]
        openssl('req', '-newkey', *made_as, '-nodes', '-subj', '/CN=' + name, '-keyout', key, '-out', asked)
        with open(path + '.ext', 'w', encoding='ascii') as file:
            file.write(('subjectAltName=%s\n' % alternatives if alternatives else '') + extra +
                       '\nbasicConstraints=CA:FALSE\n')
        when = ['-startdate', start, '-enddate', end] if start else ['-days', str(days)]
        openssl('ca', '-batch', '-notext', '-config', self.config, '-cert', self.path, '-keyfile', self.key,
                '-in', asked, '-out', made, '-outdir', self.folder, '-extfile', path + '.ext', *when)
        return made, key

    def revoke(self, certificate):
        openssl('ca', '-config', self.config, '-cert', self.path, '-keyfile', self.key, '-revoke', certificate)
        self.write_crl()

    def write_crl(self, *when):
        openssl('ca', '-config', self.config, '-cert', self.path, '-keyfile', self.key, '-gencrl', '-out', self.crl,
                *when)
        return self.crl
