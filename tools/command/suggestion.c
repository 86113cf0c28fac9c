/* suggestion.c - compares words by the letters that differ. */
#include "tools/command/suggestion.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

enum { WORD_MAX = 32 };

static size_t least(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* How many letters must be added, removed or changed (Levenshtein). Both have WORD_MAX at most. */
static size_t distance(const char *a, size_t a_len, const char *b, size_t b_len)
{
	size_t row[WORD_MAX + 1];
	for (size_t j = 0; j <= b_len; j++) {
		row[j] = j;
	}
	for (size_t i = 1; i <= a_len; i++) {
		size_t diagonal = row[0];
		row[0] = i;
		for (size_t j = 1; j <= b_len; j++) {
			const size_t above = row[j];
			const size_t changed = diagonal + (a[i - 1] != b[j - 1]);
			row[j] = least(changed, least(above, row[j - 1]) + 1);
			diagonal = above;
		}
	}
	return row[b_len];
}

const char *suggestion_of(const char *given, const char *const *words, size_t count)
{
	const size_t len = strcspn(given, "=");
	const char *best = NULL;
	size_t best_distance = SIZE_MAX;
	for (size_t i = 0; i < count && len > 1 && len <= WORD_MAX; i++) {
		const size_t word_len = strlen(words[i]);
		if (word_len < 2 || word_len > WORD_MAX) {
			continue;
		}
		const bool begins = len >= 2 && strncmp(words[i], given, len) == 0;
		const size_t far = begins ? 0 : distance(given, len, words[i], word_len);
		if (far < best_distance && far <= 1 + len / 4) {
			best = words[i];
			best_distance = far;
		}
	}
	return best;
}
