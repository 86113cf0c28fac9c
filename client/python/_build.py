"""_build.py - writes the C source of the module _repstore: what cffi makes of the public headers.

    _build.py OUTPUT HEADER...

The headers are read as they are, so a struct of Python is the struct of C, which the C compiler checks once more.
"""

import re
import sys

import cffi


def declarations(text):
    """What a header declares, without what the preprocessor and C++ see, and without code."""
    text = re.sub(r'/\*.*?\*/', ' ', text, flags=re.S)
    text = re.sub(r'#ifdef __cplusplus.*?#endif', ' ', text, flags=re.S)
    text = re.sub(r'^\s*#.*$', '', text, flags=re.M)
    text = re.sub(r'static inline [^{]*\{.*?\n\}', ' ', text, flags=re.S)
    return text.replace('REP_API', '')


def main(output, *headers):
    builder = cffi.FFI()
    for header in headers:
        with open(header, encoding='utf-8') as file:
            builder.cdef(declarations(file.read()))
    builder.cdef('void free(void *memory);')
    builder.cdef('extern "Python" bool repstore_interrupted(void *context);')
    builder.set_source('repstore._repstore', '#include <stdbool.h>\n#include <stdlib.h>\n#include "repstore.h"\n#include "repstore_async.h"\n',
                       py_limited_api=True)
    builder.emit_c_code(output)


if __name__ == '__main__':
    main(*sys.argv[1:])
