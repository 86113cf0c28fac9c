"""_build.py - writes the C source of the module _repstore, or of _local: what cffi makes of the public headers.

    _build.py OUTPUT HEADER...

_local is of repstore_local.h, where that is among them, and has the types of _repstore, which is of all the others. The headers are read as they are, so a struct of Python is the struct of C, which the C compiler checks once more.
"""

import os
import re
import sys

import cffi

INCLUDES = '#include <stdbool.h>\n#include <stdlib.h>\n#include "repstore.h"\n#include "repstore_async.h"\n'


def declarations(text):
    """What a header declares, without what the preprocessor and C++ see, and without code."""
    text = re.sub(r'/\*.*?\*/', ' ', text, flags=re.S)
    text = re.sub(r'#ifdef __cplusplus.*?#endif', ' ', text, flags=re.S)
    text = re.sub(r'^\s*#.*$', '', text, flags=re.M)
    text = re.sub(r'static inline [^{]*\{.*?\n\}', ' ', text, flags=re.S)
    return text.replace('REP_API', '')


def declare(builder, headers):
    for header in headers:
        with open(header, encoding='utf-8') as file:
            builder.cdef(declarations(file.read()))


def of_library(headers):
    builder = cffi.FFI()
    declare(builder, headers)
    builder.cdef('void free(void *memory);')
    builder.cdef('extern "Python" bool repstore_interrupted(void *context);')
    builder.set_source('repstore._repstore', INCLUDES, py_limited_api=True)
    return builder


def of_reader(library, header):
    builder = cffi.FFI()
    builder.include(library)
    declare(builder, [header])
    builder.set_source('repstore._local', INCLUDES + '#include "repstore_local.h"\n', py_limited_api=True)
    return builder


def main(output, *headers):
    of_local = [header for header in headers if os.path.basename(header) == 'repstore_local.h']
    builder = of_library([header for header in headers if header not in of_local])
    for header in of_local:
        builder = of_reader(builder, header)
    builder.emit_c_code(output)


if __name__ == '__main__':
    main(*sys.argv[1:])
