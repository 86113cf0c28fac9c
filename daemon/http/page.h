/* page.h - the status page, as the build has embedded it (embed.py), and its content security policy.
 *
 * Threads: any; constant.
 */
#ifndef DAEMON_HTTP_PAGE_H
#define DAEMON_HTTP_PAGE_H

extern const char page_policy[];
extern const unsigned char page_data[];
extern const unsigned long page_bytes;

#endif
