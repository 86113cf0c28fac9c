/* test_access.c - who has which role: entries, patterns of names, peers as the kernel tells them. */
#include "daemon/access/access.h"
#include "daemon/access/names.h"

#include "tests/unit/alloc_fail.h"

#include <grp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum {
	NONE = ROLE_ANYBODY,
	READ = NONE | ROLE_READ,
	WRITE = READ | ROLE_WRITE,
	PUBLISH = READ | ROLE_PUBLISH,
	ADMIN = WRITE | PUBLISH | ROLE_ADMIN,
	OWN_UID = 4711,
};

static struct access_rules rules; /* too large for a stack of a test under a sanitizer */

static void begin(void)
{
	access_rules_init(&rules);
	rules.own_uid = OWN_UID;
}

static void give(enum role role, const char *list)
{
	struct error err = {.text = ""};
	if (access_rules_add(&rules, role, list, &err) != STATUS_OK) {
		fail_msg("%s", err.text);
	}
}

static unsigned roles_of_user(uint32_t uid, uint32_t gid)
{
	const struct peer_identity peer = {.kind = IDENTITY_UNIX, .uid = uid, .gid = gid};
	return access_roles(&rules, &peer);
}

static unsigned roles_of_name(enum identity_name_kind kind, const char *name)
{
	struct peer_identity peer = {.kind = IDENTITY_CERTIFICATE};
	assert_int_equal(identity_add_name(&peer, kind, name, strlen(name)), STATUS_OK);
	const unsigned roles = access_roles(&rules, &peer);
	identity_fini(&peer);
	return roles;
}

static void without_entries_root_and_the_own_user_are_admin(void **state)
{
	const struct peer_identity stranger = {.kind = IDENTITY_STRANGER};
	const struct peer_identity loopback = {.kind = IDENTITY_LOOPBACK};
	(void)state;
	begin();
	assert_int_equal(roles_of_user(0, 0), ADMIN);
	assert_int_equal(roles_of_user(OWN_UID, 5), ADMIN);
	assert_int_equal(roles_of_user(1000, OWN_UID), NONE);
	assert_int_equal(roles_of_user(1000, 0), NONE);
	assert_int_equal(access_roles(&rules, &stranger), NONE);
	assert_int_equal(access_roles(&rules, &loopback), NONE);
	assert_int_equal(roles_of_name(IDENTITY_CN, "root"), NONE);
	access_rules_init(&rules);
	assert_int_equal(rules.own_uid, geteuid());
}

static void roles_add_up(void **state)
{
	(void)state;
	begin();
	give(ROLE_READ, "user:1000  user:1001\tgroup:50");
	give(ROLE_WRITE, " user:1001 ");
	give(ROLE_PUBLISH, "user:1001");
	give(ROLE_PUBLISH, "user:1002");
	give(ROLE_ADMIN, "user:1003");
	assert_int_equal(roles_of_user(1000, 1), READ);
	assert_int_equal(roles_of_user(1001, 1), WRITE | PUBLISH);
	assert_int_equal(roles_of_user(1002, 1), PUBLISH);
	assert_int_equal(roles_of_user(1003, 1), ADMIN);
	assert_int_equal(roles_of_user(1004, 50), READ);
	assert_int_equal(roles_of_user(1004, 51), NONE);
	access_rules_forget(&rules, ROLE_READ);
	assert_int_equal(roles_of_user(1000, 50), NONE);
	assert_int_equal(roles_of_user(1002, 1), PUBLISH);
}

static void the_unmapped_user_is_nobody(void **state)
{
	uint32_t groups[] = {50};
	const struct peer_identity peer = {
		.kind = IDENTITY_UNIX,
		.uid = IDENTITY_UNMAPPED,
		.gid = 50,
		.groups = groups,
		.group_count = 1,
	};
	struct error err;
	(void)state;
	begin();
	rules.own_uid = IDENTITY_UNMAPPED;
	give(ROLE_READ, "group:50");
	assert_int_equal(access_roles(&rules, &peer), NONE);
	assert_int_equal(access_rules_add(&rules, ROLE_READ, "user:65534", &err),
		STATUS_BAD_REQUEST);
	assert_int_equal(access_rules_add(&rules, ROLE_READ, "group:65534", &err),
		STATUS_BAD_REQUEST);
	assert_int_equal(access_rules_add(&rules, ROLE_READ, "user:4294967295", &err),
		STATUS_BAD_REQUEST);
}

static void names_become_numbers(void **state)
{
	(void)state;
	begin();
	give(ROLE_READ, "user:daemon group:daemon");
	assert_string_equal(rules.entries[0].text, "user:daemon");
	assert_int_equal(rules.entries[0].number, 1); /* as on every Debian */
	assert_int_equal(roles_of_user(1, 100), READ);
	assert_int_equal(roles_of_user(100, 1), READ);
}

static void a_login_has_its_groups(void **state)
{
	struct peer_identity peer;
	struct error err;
	(void)state;
	assert_int_equal(names_login("daemon", &peer, &err), STATUS_OK);
	assert_int_equal(peer.kind, IDENTITY_UNIX);
	assert_int_equal(peer.uid, 1);
	assert_true(peer.group_count >= 1);
	identity_fini(&peer);
	assert_int_equal(names_login("0", &peer, &err), STATUS_OK);
	assert_int_equal(peer.gid, 0);
	identity_fini(&peer);
	assert_int_equal(names_login("3999999999", &peer, &err), STATUS_OK);
	assert_int_equal(peer.group_count, 0);
	assert_int_equal(peer.gid, IDENTITY_UNMAPPED);
	identity_fini(&peer);
	assert_int_equal(names_login("nobody-has-this-name", &peer, &err), STATUS_NOT_FOUND);
}

static void a_wrong_entry_is_refused_and_changes_nothing(void **state)
{
	static const char *const wrong[][2] = {
		{"bob", "'bob': user:NAME, group:NAME, cert:KIND=PATTERN or tcp:loopback is allowed"},
		{"user:", "'user:': there is no user ''"},
		{"user:no-such-user", "'user:no-such-user': there is no user 'no-such-user'"},
		{"group:no-such-group", "there is no group 'no-such-group'"},
		{"user:4294967296", "there is no user '4294967296'"},
		{"user:-1", "there is no user '-1'"},
		{"cert:", "cert:URI=PATTERN, cert:DNS=PATTERN or cert:CN=PATTERN is allowed"},
		{"cert:O=x", "cert:URI=PATTERN"},
		{"cert:CN=", "the pattern is empty"},
		{"tcp:127.0.0.1", "tcp:loopback is allowed"},
		{"tcp:loopback2", "tcp:loopback is allowed"},
		{"USER:root", "user:NAME"},
		{"user:1000 bob", "'bob'"},
	};
	char text[ACCESS_ENTRY_BYTES + 1];
	struct error err;
	(void)state;
	begin();
	give(ROLE_READ, "user:1000");
	give(ROLE_READ, "");
	give(ROLE_READ, " \t");
	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
		assert_int_equal(access_rules_add(&rules, ROLE_READ, wrong[i][0], &err),
			STATUS_BAD_REQUEST);
		if (strstr(err.text, wrong[i][1]) == NULL) {
			fail_msg("'%s' is refused by: %s", wrong[i][0], err.text);
		}
		assert_int_equal(rules.count, 1);
	}
	memset(text, 'x', sizeof text - 1);
	text[sizeof text - 1] = '\0';
	memcpy(text, "cert:CN=", 8);
	assert_int_equal(access_rules_add(&rules, ROLE_READ, text, &err), STATUS_BAD_REQUEST);
	text[sizeof text - 2] = '\0';
	give(ROLE_READ, text);
	while (rules.count < ACCESS_ENTRIES_MAX) {
		give(ROLE_READ, "user:7");
	}
	assert_int_equal(access_rules_add(&rules, ROLE_READ, "user:7", &err), STATUS_BAD_REQUEST);
	assert_int_equal(rules.count, ACCESS_ENTRIES_MAX);
}

static void a_pattern_fits_what_it_should(void **state)
{
	static const struct {
		const char *pattern;
		const char *text;
		enum identity_name_kind kind;
		bool fits;
	} cases[] = {
		{"ranker", "ranker", IDENTITY_CN, true},
		{"ranker", "Ranker", IDENTITY_CN, false},
		{"ranker", "ranker-1", IDENTITY_CN, false},
		{"ranker", "ranke", IDENTITY_CN, false},
		{"ranker-*", "ranker-", IDENTITY_CN, true},
		{"ranker-*", "ranker-17", IDENTITY_CN, true},
		{"ranker-*", "a-ranker-17", IDENTITY_CN, false},
		{"*", "anything/at.all", IDENTITY_CN, true},
		{"*-prod", "a-prod-b-prod", IDENTITY_CN, true},
		{"a*b*c", "a-b-b-c", IDENTITY_CN, true},
		{"a*b*c", "a-b-b-c-d", IDENTITY_CN, false},
		{"ads?ranker", "ads ranker", IDENTITY_CN, true},
		{"ads?ranker", "adsranker", IDENTITY_CN, false},
		{"a**", "a", IDENTITY_CN, true},
		{"a?", "a", IDENTITY_CN, false},
		{"*.ads.example", "r1.ads.example", IDENTITY_DNS, true},
		{"*.ads.example", "R1.Ads.EXAMPLE", IDENTITY_DNS, true},
		{"*.ads.example", "a.r1.ads.example", IDENTITY_DNS, false},
		{"ranker-*", "ranker-1.evil.example", IDENTITY_DNS, false},
		{"a?b", "a.b", IDENTITY_DNS, false},
		{"*.*.example", "a.b.example", IDENTITY_DNS, true},
		{"spiffe://ads/pipeline", "spiffe://ads/pipeline", IDENTITY_URI, true},
		{"spiffe://ads/pipeline", "SPIFFE://ads/pipeline", IDENTITY_URI, false},
		{"spiffe://ads/*", "spiffe://ads/ranker", IDENTITY_URI, true},
		{"spiffe://ads/*", "spiffe://ads/ranker/x", IDENTITY_URI, false},
		{"spiffe://*/x", "spiffe://evil/y/x", IDENTITY_URI, false},
		{"spiffe://ads/*/b*", "spiffe://ads/a/bc", IDENTITY_URI, true},
		{"a?b", "a/b", IDENTITY_URI, false},
	};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		if (access_pattern_fits(cases[i].pattern, cases[i].kind, cases[i].text) !=
			cases[i].fits) {
			fail_msg("'%s' and '%s'", cases[i].pattern, cases[i].text);
		}
	}
}

static void a_certificate_has_the_roles_of_its_names(void **state)
{
	(void)state;
	begin();
	give(ROLE_READ, "cert:CN=ranker-*");
	give(ROLE_WRITE, "cert:URI=spiffe://ads/pipeline cert:DNS=*.pipe.example");
	assert_int_equal(roles_of_name(IDENTITY_CN, "ranker-2"), READ);
	assert_int_equal(roles_of_name(IDENTITY_DNS, "ranker-2"), NONE);
	assert_int_equal(roles_of_name(IDENTITY_URI, "spiffe://ads/pipeline"), WRITE);
	assert_int_equal(roles_of_name(IDENTITY_CN, "spiffe://ads/pipeline"), NONE);
	assert_int_equal(roles_of_name(IDENTITY_DNS, "a.PIPE.example"), WRITE);
	assert_int_equal(roles_of_user(1000, 1000), NONE);
}

static void names_that_deceive_are_passed_over(void **state)
{
	static const char cut[] = "ranker-1\0.evil";
	struct peer_identity peer = {.kind = IDENTITY_CERTIFICATE};
	char text[IDENTITY_TEXT_BYTES];
	char *large = malloc(IDENTITY_NAME_BYTES + 1);
	(void)state;
	assert_non_null(large);
	memset(large, 'x', IDENTITY_NAME_BYTES + 1);
	assert_int_equal(identity_add_name(&peer, IDENTITY_CN, cut, sizeof cut - 1), STATUS_OK);
	assert_int_equal(identity_add_name(&peer, IDENTITY_CN, "", 0), STATUS_OK);
	assert_int_equal(identity_add_name(&peer, IDENTITY_CN, large, IDENTITY_NAME_BYTES + 1),
		STATUS_OK);
	assert_int_equal(peer.name_count, 0);
	assert_string_equal(identity_text(text, &peer), "cert:unnamed");
	assert_int_equal(identity_add_name(&peer, IDENTITY_CN, large, IDENTITY_NAME_BYTES),
		STATUS_OK);
	identity_text(text, &peer);
	assert_true(strlen(text) < IDENTITY_TEXT_BYTES);
	assert_string_equal(text + strlen(text) - 4, "x...");
	for (unsigned i = 0; i < IDENTITY_NAMES_MAX + 1; i++) {
		assert_int_equal(identity_add_name(&peer, IDENTITY_CN, "a", 1), STATUS_OK);
	}
	assert_int_equal(peer.name_count, IDENTITY_NAMES_MAX);
	identity_fini(&peer);
	free(large);
}

static void a_peer_is_called_by_its_first_name_escaped(void **state)
{
	static const char line[] = "a b\"\n\\x\xff";
	struct peer_identity peer = {.kind = IDENTITY_CERTIFICATE};
	char text[IDENTITY_TEXT_BYTES];
	char small[8];
	(void)state;
	assert_int_equal(identity_add_name(&peer, IDENTITY_CN, line, sizeof line - 1), STATUS_OK);
	assert_string_equal(identity_text(text, &peer), "cert:CN=a\\x20b\\x22\\x0a\\x5cx\\xff");
	assert_int_equal(identity_add_name(&peer, IDENTITY_DNS, "d", 1), STATUS_OK);
	assert_int_equal(identity_add_name(&peer, IDENTITY_URI, "u", 1), STATUS_OK);
	assert_string_equal(identity_text(text, &peer), "cert:URI=u");
	identity_fini(&peer);
	assert_string_equal(identity_text(text, &peer), "unknown");
	peer = (struct peer_identity){.kind = IDENTITY_UNIX, .uid = 12};
	assert_string_equal(identity_text(text, &peer), "uid:12");
	peer = (struct peer_identity){.kind = IDENTITY_LOOPBACK};
	assert_string_equal(identity_text(text, &peer), "tcp:loopback");
	assert_string_equal(identity_escape(small, sizeof small, "abcdefgh", 8), "a...");
	assert_string_equal(identity_escape(small, sizeof small, "a", 1), "a");
}

/* In a process of its own, which may have other groups. */
static int show_groups(unsigned count)
{
	gid_t groups[1000];
	int fds[2];
	struct peer_identity peer;
	for (unsigned i = 0; i < count; i++) {
		groups[i] = 5000 + i;
	}
	if (setgroups(count, groups) != 0 || setgid(4000) != 0 || setuid(3000) != 0 ||
		socketpair(AF_UNIX, SOCK_STREAM, 0, fds) != 0 ||
		identity_of_socket(fds[0], &peer) != STATUS_OK) {
		return 1;
	}
	struct peer_identity same = peer;
	access_rules_init(&rules);
	rules.own_uid = OWN_UID;
	give(ROLE_READ, "group:5000");
	const bool fine = peer.kind == IDENTITY_UNIX && peer.uid == 3000 && peer.gid == 4000 &&
			  peer.group_count == count &&
			  access_roles(&rules, &same) == (count > 0 ? READ : NONE);
	identity_fini(&peer);
	close(fds[0]);
	close(fds[1]);
	return fine ? 0 : 2;
}

static void the_kernel_names_all_groups_of_a_peer(void **state)
{
	static const unsigned counts[] = {0, 1, 32, 33, 1000};
	(void)state;
	if (geteuid() != 0) {
		skip();
	}
	for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
		int status = -1;
		const pid_t child = fork();
		if (child == 0) {
			_exit(show_groups(counts[i]));
		}
		assert_int_equal(waitpid(child, &status, 0), child);
		assert_int_equal(status, 0);
	}
}

static void a_socket_without_a_user_is_a_strangers(void **state)
{
	struct peer_identity peer;
	const int fd = socket(AF_INET, SOCK_STREAM, 0);
	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(identity_of_socket(fd, &peer), STATUS_IO);
	assert_int_equal(peer.kind, IDENTITY_STRANGER);
	close(fd);
}

static void other_rules_have_another_version(void **state)
{
	static struct access access;
	const struct peer_identity peer = {.kind = IDENTITY_UNIX, .uid = 1000, .gid = 1000};
	uint64_t version = 0;
	(void)state;
	begin();
	access_init(&access, &rules);
	assert_int_equal(access_ask(&access, &peer, &version), NONE);
	assert_int_equal(version, access_version(&access));
	assert_true(version > 0);
	give(ROLE_WRITE, "user:1000");
	access_replace(&access, &rules);
	assert_true(access_version(&access) > version);
	assert_int_equal(access_ask(&access, &peer, &version), WRITE);
	assert_int_equal(version, access_version(&access));
	access_fini(&access);
}

static void roles_have_names(void **state)
{
	char text[ROLE_TEXT_BYTES];
	(void)state;
	assert_string_equal(role_text(text, NONE), "none");
	assert_string_equal(role_text(text, 0), "none");
	assert_string_equal(role_text(text, ADMIN), "read write publish admin");
	for (unsigned i = 1; i < ROLE_COUNT; i++) {
		const char *name = role_name(role_at(i));
		assert_int_equal(role_of_name(name, strlen(name)), role_at(i));
	}
	assert_int_equal(role_of_name("none", 4), 0);
	assert_int_equal(role_of_name("rea", 3), 0);
}

static bool fill_identity(void *arg)
{
	struct peer_identity peer = {.kind = IDENTITY_CERTIFICATE};
	(void)arg;
	const bool fine = identity_add_name(&peer, IDENTITY_CN, "a", 1) == STATUS_OK &&
			  identity_add_name(&peer, IDENTITY_URI, "b", 1) == STATUS_OK;
	identity_fini(&peer);
	return fine;
}

static void refused_memory_is_said(void **state)
{
	(void)state;
	alloc_fail_each(fill_identity, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_entries_root_and_the_own_user_are_admin),
		cmocka_unit_test(roles_add_up),
		cmocka_unit_test(the_unmapped_user_is_nobody),
		cmocka_unit_test(names_become_numbers),
		cmocka_unit_test(a_login_has_its_groups),
		cmocka_unit_test(a_wrong_entry_is_refused_and_changes_nothing),
		cmocka_unit_test(a_pattern_fits_what_it_should),
		cmocka_unit_test(a_certificate_has_the_roles_of_its_names),
		cmocka_unit_test(names_that_deceive_are_passed_over),
		cmocka_unit_test(a_peer_is_called_by_its_first_name_escaped),
		cmocka_unit_test(the_kernel_names_all_groups_of_a_peer),
		cmocka_unit_test(a_socket_without_a_user_is_a_strangers),
		cmocka_unit_test(other_rules_have_another_version),
		cmocka_unit_test(roles_have_names),
		cmocka_unit_test(refused_memory_is_said),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
