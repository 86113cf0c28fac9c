/* install_local.c - the least that a stranger builds against the installed embedded reader. */
#include <repstore_local.h>

#include <stdio.h>

int main(void)
{
	struct rep_error err;
	rep_local *local = NULL;
	const struct rep_local_options options = {.folder = "/nonexistent"};
	if (rep_open_local(&options, &local, &err) != REP_NOT_FOUND) {
		return 1;
	}
	printf("librepstore-local, as expected: %s\n", err.text);
	return 0;
}
