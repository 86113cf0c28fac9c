/* install_program.c - the least that a stranger builds against the installed library. */
#include <repstore.h>

#include <stdio.h>

int main(void)
{
	struct rep_error err;
	rep_client *client = NULL;
	const struct rep_options options = {.address = "unix:/nonexistent/repstore.sock"};
	if (rep_connect(&options, &client, &err) == REP_OK) {
		return 1;
	}
	printf("librepstore %s, as expected: %s\n", rep_version(), err.text);
	return 0;
}
