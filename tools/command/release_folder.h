/* release_folder.h - repstore release export, and adopt.
 *
 * Threads: one at a time.
 */
#ifndef TOOLS_COMMAND_RELEASE_FOLDER_H
#define TOOLS_COMMAND_RELEASE_FOLDER_H

struct session;

int release_folder_export(struct session *session, int argc, char **argv);
int release_folder_adopt(struct session *session, int argc, char **argv);

#endif
