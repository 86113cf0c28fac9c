/* methods.h - the run function of every method, and the names that its params may have.
 *
 * method_table is made of these. schema/PROTOCOL.md describes each method; a test compares that
 * page with the table and its names.
 */
#ifndef DAEMON_METHOD_METHODS_H
#define DAEMON_METHOD_METHODS_H

#include "daemon/method/call/method.h"

/* The names of one entry of fetch's and put's `parts`, and of tensor.put's `tensors`. */
extern const char *const fetch_part_names[];
extern const char *const put_part_names[];
extern const char *const tensor_put_part_names[];

extern const char *const access_check_names[];
extern const char *const append_names[];
extern const char *const backup_names[];
extern const char *const delete_names[];
extern const char *const fetch_names[];
extern const char *const hello_names[];
extern const char *const layer_choose_names[];
extern const char *const load_abort_names[];
extern const char *const load_end_names[];
extern const char *const load_names[];
extern const char *const observe_names[];
extern const char *const positions_forget_names[];
extern const char *const put_names[];
extern const char *const release_adopt_names[];
extern const char *const release_create_names[];
extern const char *const release_export_names[];
extern const char *const repair_names[];
extern const char *const retrieve_names[];
extern const char *const scan_names[];
extern const char *const score_names[];
extern const char *const slowlog_names[];
extern const char *const table_create_names[];
extern const char *const tensor_put_names[];
extern const char *const merge_names[];
extern const char *const verify_names[];

/* Lists that several methods share. */
extern const char *const no_names[];
extern const char *const release_only_names[];
extern const char *const release_table_names[];
extern const char *const tensor_names[];

enum status access_check_run(struct call *call);
enum status append_run(struct call *call);
enum status backup_run(struct call *call);
enum status delete_run(struct call *call);
enum status fetch_run(struct call *call);
enum status hello_run(struct call *call);
enum status info_run(struct call *call);
enum status layer_choose_run(struct call *call);
enum status layer_list_run(struct call *call);
enum status load_run(struct call *call);
enum status load_abort_run(struct call *call);
enum status load_end_run(struct call *call);
enum status merge_run(struct call *call);
enum status observe_run(struct call *call);
enum status ping_run(struct call *call);
enum status positions_forget_run(struct call *call);
enum status positions_run(struct call *call);
enum status put_run(struct call *call);
enum status release_adopt_run(struct call *call);
enum status release_create_run(struct call *call);
enum status release_drop_run(struct call *call);
enum status release_export_run(struct call *call);
enum status release_list_run(struct call *call);
enum status release_publish_run(struct call *call);
enum status release_rollback_run(struct call *call);
enum status release_seal_run(struct call *call);
enum status release_show_run(struct call *call);
enum status reload_run(struct call *call);
enum status repair_run(struct call *call);
enum status retrieve_run(struct call *call);
enum status scan_run(struct call *call);
enum status score_run(struct call *call);
enum status slowlog_run(struct call *call);
enum status stats_run(struct call *call);
enum status table_create_run(struct call *call);
enum status table_list_run(struct call *call);
enum status table_show_run(struct call *call);
enum status tensor_delete_run(struct call *call);
enum status tensor_get_run(struct call *call);
enum status tensor_list_run(struct call *call);
enum status tensor_put_run(struct call *call);
enum status whoami_run(struct call *call);

/* Writes the entry `roles`: the names of those of the set. */
void reply_roles(struct wire_writer *out, unsigned roles);
enum status verify_run(struct call *call);

#endif
