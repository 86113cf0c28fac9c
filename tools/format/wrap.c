/* wrap.c - breaks text into lines. */
#include "tools/format/wrap.h"

#include <stdbool.h>
#include <string.h>

enum { CONTINUES = 9 };

struct wrap {
	FILE *out;
	size_t column;
	size_t hang;    /* of the paragraph */
	bool paragraph; /* one is open */
	bool plain;     /* it began without indentation */
	bool aligned;   /* what was printed last ends where the next word begins */
};

/* How long the word is: to the next space that is not inside brackets. */
static size_t word_len(const char *text)
{
	size_t len = 0;
	size_t depth = 0;
	for (; text[len] != '\0' && text[len] != '\n'; len++) {
		depth += text[len] == '[';
		if (text[len] == ' ' && depth == 0) {
			break;
		}
		depth -= text[len] == ']' && depth > 0;
	}
	/* A bracket that closes on another line holds nothing together. */
	return depth == 0 ? len : strcspn(text, " \n");
}

static void end_line(struct wrap *wrap)
{
	putc('\n', wrap->out);
	wrap->column = 0;
}

static void print_spaces(struct wrap *wrap, size_t count)
{
	fprintf(wrap->out, "%*s", (int)count, "");
	wrap->column += count;
}

static void print_word(struct wrap *wrap, const char *word, size_t len)
{
	if (!wrap->aligned && wrap->column + 1 + len > WRAP_COLUMNS) {
		end_line(wrap);
	}
	if (wrap->column == 0) {
		print_spaces(wrap, wrap->hang);
	} else if (!wrap->aligned) {
		print_spaces(wrap, 1);
	}
	wrap->aligned = false;
	fwrite(word, 1, len, wrap->out);
	wrap->column += len;
}

/* Begins a paragraph with the first word of a line, and what is aligned behind it. Returns what is
 * left of the line. */
static const char *begin(struct wrap *wrap, const char *line, size_t lead, size_t hang)
{
	if (wrap->paragraph && wrap->column > 0) {
		end_line(wrap);
	}
	wrap->paragraph = true;
	wrap->plain = lead == 0;
	print_spaces(wrap, lead);
	const char *at = line + lead;
	const size_t line_len = strcspn(at, "\n");
	const char *gap = strstr(at, "  ");
	if (lead == 0 || gap == NULL || gap >= at + line_len) {
		const size_t len = word_len(at);
		fwrite(at, 1, len, wrap->out);
		wrap->column += len;
		wrap->hang = lead == 0 ? hang : lead + 2;
		return at + len;
	}
	const size_t len = (size_t)(gap - at) + strspn(gap, " ");
	fwrite(at, 1, len, wrap->out);
	wrap->column += len;
	wrap->hang = wrap->column;
	wrap->aligned = true;
	return at + len;
}

void wrap_print(FILE *out, const char *text, size_t column, size_t hang)
{
	struct wrap wrap = {.out = out, .column = column};
	while (*text != '\0') {
		const size_t lead = strspn(text, " ");
		const char *at = text + lead;
		if (*at == '\n') {
			if (wrap.column > 0) {
				end_line(&wrap);
			}
			end_line(&wrap);
			wrap.paragraph = false;
		} else if (!wrap.paragraph || (lead < CONTINUES && !(lead == 0 && wrap.plain))) {
			at = begin(&wrap, text, lead, hang);
		}
		for (;;) {
			at += strspn(at, " ");
			const size_t len = word_len(at);
			if (len == 0) {
				break;
			}
			print_word(&wrap, at, len);
			at += len;
		}
		text = *at == '\n' ? at + 1 : at;
	}
	if (wrap.column > 0) {
		end_line(&wrap);
	}
}
