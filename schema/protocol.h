/* protocol.h - which protocol daemon and clients speak; schema/PROTOCOL.md is its page. */
#ifndef SCHEMA_PROTOCOL_H
#define SCHEMA_PROTOCOL_H

enum { PROTOCOL_VERSION = 1 };

#endif
