/* replay.c - runs a fuzz target over the files of its corpus, without libFuzzer. */
#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Exactly as large as the file, so that AddressSanitizer sees a read past its end. */
static bool replay_file(const char *path)
{
	FILE *file = fopen(path, "rbe");
	if (file == NULL) {
		fprintf(stderr, "open '%s': %s\n", path, strerror(errno));
		return false;
	}
	struct stat info = {0};
	uint8_t *data = NULL;
	bool read = false;
	if (fstat(fileno(file), &info) == 0) {
		size_t size = (size_t)info.st_size;
		data = malloc(size > 0 ? size : 1);
		read = data != NULL && fread(data, 1, size, file) == size;
	}
	fclose(file);
	if (read) {
		LLVMFuzzerTestOneInput(data, (size_t)info.st_size);
	} else {
		fprintf(stderr, "cannot read '%s'\n", path);
	}
	free(data);
	return read;
}

static bool replay_folder(const char *folder, unsigned *count)
{
	struct dirent **entries = NULL;
	int found = scandir(folder, &entries, NULL, alphasort);
	if (found < 0) {
		fprintf(stderr, "open '%s': %s\n", folder, strerror(errno));
		return false;
	}
	bool fine = true;
	for (int i = 0; i < found; i++) {
		char path[4096];
		if (entries[i]->d_name[0] != '.') {
			snprintf(path, sizeof path, "%s/%s", folder, entries[i]->d_name);
			fine = replay_file(path) && fine;
			++*count;
		}
		free(entries[i]);
	}
	free(entries);
	return fine;
}

int main(int argc, char **argv)
{
	if (argc != 2) {
		fprintf(stderr, "usage: %s FOLDER\n", argv[0]);
		return 2;
	}
	unsigned count = 0;
	bool fine = replay_folder(argv[1], &count);
	printf("%u inputs of '%s'\n", count, argv[1]);
	if (count == 0) {
		fprintf(stderr, "no inputs in '%s'\n", argv[1]);
	}
	return fine && count > 0 ? 0 : 1;
}
