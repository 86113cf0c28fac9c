#!/usr/bin/env python3
"""embed.py HTML C - makes a C file of the status page, with the content security policy that fits it.

The policy allows the one style and the one script that stand in the page, by their hashes, and nothing else.
"""

import base64
import hashlib
import re
import sys


def hash_of(page, tag):
    parts = re.findall(b'<%s>(.*?)</%s>' % (tag, tag), page, re.DOTALL)
    if len(parts) != 1:
        sys.exit('embed.py: one <%s> is expected, %d are there' % (tag.decode(), len(parts)))
    return "'sha256-%s'" % base64.b64encode(hashlib.sha256(parts[0]).digest()).decode()


def main():
    source, made = sys.argv[1:]
    with open(source, 'rb') as file:
        page = file.read()
    policy = ("default-src 'none'; connect-src 'self'; img-src data:; script-src %s; style-src %s; base-uri 'none'; "
              "form-action 'none'; frame-ancestors 'none'" % (hash_of(page, b'script'), hash_of(page, b'style')))
    rows = [', '.join(map(str, page[at:at + 24])) for at in range(0, len(page), 24)]
    with open(made, 'w') as file:
        file.write('/* Made by embed.py of page.html. */\n#include "daemon/http/page.h"\n\n'
                   'const char page_policy[] = "%s";\n'
                   'const unsigned char page_data[] = {\n%s,\n};\nconst unsigned long page_bytes = sizeof page_data;\n'
                   % (policy, ',\n'.join(rows)))


if __name__ == '__main__':
    main()
