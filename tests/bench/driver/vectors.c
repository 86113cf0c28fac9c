/* vectors.c - makes vectors and queries, and maps the files of them. */
#include "tests/bench/driver/vectors.h"

#include "tests/bench/driver/measure.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- drawing ---- */

/* Gaussian numbers, two at a time. */
struct gaussian {
	uint64_t state;
	double spare;
	int has_spare;
};

/* A stream of its own for each thing that is drawn, so that threads may draw in any order. */
static struct gaussian gaussian_of(uint64_t seed, uint64_t what, uint64_t number)
{
	uint64_t state = seed * 4 + what;
	state = next_random(&state) + number;
	return (struct gaussian){.state = next_random(&state)};
}

/* Above 0, up to 1. */
static double uniform(struct gaussian *gaussian)
{
	return (double)((next_random(&gaussian->state) >> 11) + 1) * 0x1p-53;
}

/* Source: Box and Muller, A note on the generation of random normal deviates, 1958. */
static double draw(struct gaussian *gaussian)
{
	if (gaussian->has_spare) {
		gaussian->has_spare = 0;
		return gaussian->spare;
	}
	const double radius = sqrt(-2 * log(uniform(gaussian)));
	const double angle = 2 * M_PI * uniform(gaussian);
	gaussian->spare = radius * sin(angle);
	gaussian->has_spare = 1;
	return radius * cos(angle);
}

enum { CENTRE, VECTOR, QUERY };

/* Rows `first` to `end` of one of the files, made by one thread. */
struct part {
	pthread_t thread;
	const struct vectors_plan *plan; /* borrowed */
	const float *centres;            /* borrowed */
	const double *scales;            /* borrowed: of each element */
	float *out;                      /* borrowed: row 0 */
	uint64_t what;
	uint64_t first;
	uint64_t end;
};

/* How large each element is, so that a vector has length 1. */
static double *scales_of(const struct vectors_plan *plan)
{
	double *scales = allocate(plan->dim * sizeof *scales);
	double sum = 0;
	for (uint32_t j = 0; j < plan->dim; j++) {
		scales[j] = pow(j + 1, -plan->decay);
		sum += scales[j] * scales[j];
	}
	for (uint32_t j = 0; j < plan->dim; j++) {
		scales[j] /= sqrt(sum);
	}
	return scales;
}

static void make_one(const struct part *part, uint64_t number, double *values)
{
	const struct vectors_plan *plan = part->plan;
	struct gaussian gaussian = gaussian_of(plan->seed, part->what, number);
	const uint64_t at = next_random(&gaussian.state) % plan->centres;
	const float *centre = part->centres + at * plan->dim;
	double sum = 0;
	for (uint32_t j = 0; j < plan->dim; j++) {
		values[j] = (double)centre[j] + plan->noise * part->scales[j] * draw(&gaussian);
		sum += values[j] * values[j];
	}
	double factor = plan->kind == VECTORS_PLAIN ? 1 : 1 / sqrt(sum);
	if (plan->kind == VECTORS_NORMS && part->what == VECTOR) {
		factor *= exp(plan->sigma * draw(&gaussian));
	}
	float *out = part->out + number * plan->dim;
	for (uint32_t j = 0; j < plan->dim; j++) {
		out[j] = (float)(values[j] * factor);
	}
}

static void *make_part(void *arg)
{
	const struct part *part = arg;
	double *values = allocate(part->plan->dim * sizeof *values);
	for (uint64_t i = part->first; i < part->end; i++) {
		make_one(part, i, values);
	}
	free(values);
	return NULL;
}

static void make_all(const struct part *whole)
{
	struct part parts[VECTORS_THREADS_MAX];
	const uint32_t threads = whole->plan->threads;
	for (uint32_t i = 0; i < threads; i++) {
		parts[i] = *whole;
		parts[i].first = whole->end * i / threads;
		parts[i].end = whole->end * (i + 1) / threads;
		if (pthread_create(&parts[i].thread, NULL, make_part, &parts[i]) != 0) {
			die("cannot start a thread");
		}
	}
	for (uint32_t i = 0; i < threads; i++) {
		(void)pthread_join(parts[i].thread, NULL);
	}
}

/* ---- files ---- */

static void path_of(char path[PATH_MAX], const char *folder, const char *name)
{
	if (snprintf(path, PATH_MAX, "%s/%s", folder, name) >= PATH_MAX) {
		die("'%s': too long", folder);
	}
}

void *vectors_map_new(const char *folder, const char *name, size_t bytes)
{
	char path[PATH_MAX];
	path_of(path, folder, name);
	const int file = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	if (file < 0) {
		die("'%s': %s", path, strerror(errno));
	}
	const int failed = posix_fallocate(file, 0, (off_t)bytes);
	if (failed != 0) {
		die("'%s': %zu bytes: %s", path, bytes, strerror(failed));
	}
	void *map = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	if (map == MAP_FAILED) {
		die("'%s': %s", path, strerror(errno));
	}
	(void)close(file);
	return map;
}

void vectors_unmap(void *map, size_t bytes)
{
	if (map != NULL) {
		(void)munmap(map, bytes);
	}
}

static void write_shape(const char *folder, const struct vectors_plan *plan)
{
	char path[PATH_MAX];
	path_of(path, folder, "shape");
	FILE *file = fopen(path, "w");
	if (file == NULL) {
		die("'%s': %s", path, strerror(errno));
	}
	(void)fprintf(file, "rows %" PRIu64 " rows\ndim %u elements\nqueries %u queries\n",
		plan->rows, plan->dim, plan->queries);
	(void)fprintf(file, "k %u rows\nmetric %d number\n", plan->k,
		plan->kind == VECTORS_PLAIN ? VECTORS_L2 : VECTORS_INNER_PRODUCT);
	if (fclose(file) != 0) {
		die("'%s': %s", path, strerror(errno));
	}
}

void vectors_write(const char *folder, const struct vectors_plan *plan)
{
	const size_t row_bytes = plan->dim * sizeof(float);
	float *centres = allocate(plan->centres * row_bytes);
	double *scales = scales_of(plan);
	for (uint32_t i = 0; i < plan->centres; i++) {
		struct gaussian gaussian = gaussian_of(plan->seed, CENTRE, i);
		for (uint32_t j = 0; j < plan->dim; j++) {
			centres[(size_t)i * plan->dim + j] = (float)(scales[j] * draw(&gaussian));
		}
	}
	struct part whole = {.plan = plan, .centres = centres, .scales = scales};
	whole.what = VECTOR;
	whole.end = plan->rows;
	whole.out = vectors_map_new(folder, "vectors.f32", plan->rows * row_bytes);
	make_all(&whole);
	vectors_unmap(whole.out, plan->rows * row_bytes);
	whole.what = QUERY;
	whole.end = plan->queries;
	whole.out = vectors_map_new(folder, "queries.f32", plan->queries * row_bytes);
	make_all(&whole);
	vectors_unmap(whole.out, plan->queries * row_bytes);
	free(centres);
	free(scales);
	write_shape(folder, plan);
}

/* The number of a line of `shape`. */
static uint64_t number_of(const char *text, const char *name)
{
	const char *at = strstr(text, name);
	if (at == NULL) {
		die("'shape': no '%s'", name);
	}
	return strtoull(at + strlen(name), NULL, 10);
}

static void read_shape(const char *folder, struct vectors *out)
{
	char path[PATH_MAX];
	char text[512] = "\n";
	path_of(path, folder, "shape");
	FILE *file = fopen(path, "r");
	if (file == NULL) {
		die("'%s': %s", path, strerror(errno));
	}
	(void)fread(text + 1, 1, sizeof text - 2, file);
	(void)fclose(file);
	*out = (struct vectors){
		.rows = number_of(text, "\nrows "),
		.dim = (uint32_t)number_of(text, "\ndim "),
		.queries = (uint32_t)number_of(text, "\nqueries "),
		.k = (uint32_t)number_of(text, "\nk "),
		.metric = number_of(text, "\nmetric ") == VECTORS_L2 ? VECTORS_L2
								     : VECTORS_INNER_PRODUCT,
	};
}

/* NULL: there is no such file. */
static void *map_old(const char *folder, const char *name, size_t bytes)
{
	char path[PATH_MAX];
	path_of(path, folder, name);
	const int file = open(path, O_RDONLY | O_CLOEXEC);
	if (file < 0 && errno == ENOENT) {
		return NULL;
	}
	struct stat stat;
	if (file < 0 || fstat(file, &stat) != 0) {
		die("'%s': %s", path, strerror(errno));
	}
	if ((size_t)stat.st_size != bytes) {
		die("'%s': %zu bytes, not %zu", path, (size_t)stat.st_size, bytes);
	}
	void *map = mmap(NULL, bytes, PROT_READ, MAP_SHARED | MAP_POPULATE, file, 0);
	if (map == MAP_FAILED) {
		die("'%s': %s", path, strerror(errno));
	}
	(void)close(file);
	return map;
}

void vectors_open(const char *folder, struct vectors *out)
{
	read_shape(folder, out);
	const size_t row_bytes = out->dim * sizeof *out->row;
	out->maps[0] = map_old(folder, "vectors.f32", out->rows * row_bytes);
	out->maps[1] = map_old(folder, "queries.f32", out->queries * row_bytes);
	out->maps[2] = map_old(folder, "nearest.u32",
		(size_t)out->queries * out->k * sizeof *out->nearest);
	out->row = out->maps[0];
	out->query = out->maps[1];
	out->nearest = out->maps[2];
	if (out->row == NULL || out->query == NULL) {
		die("'%s': no vectors", folder);
	}
}

void vectors_close(struct vectors *vectors)
{
	const size_t row_bytes = vectors->dim * sizeof *vectors->row;
	vectors_unmap(vectors->maps[0], vectors->rows * row_bytes);
	vectors_unmap(vectors->maps[1], vectors->queries * row_bytes);
	vectors_unmap(vectors->maps[2],
		(size_t)vectors->queries * vectors->k * sizeof *vectors->nearest);
	*vectors = (struct vectors){0};
}

double vectors_recall(const struct vectors *vectors, uint32_t query, const uint32_t *found,
	size_t count)
{
	const uint32_t *nearest = vectors->nearest + (size_t)query * vectors->k;
	size_t hits = 0;
	for (uint32_t i = 0; i < vectors->k; i++) {
		for (size_t j = 0; j < count; j++) {
			if (found[j] == nearest[i]) {
				hits++;
				break;
			}
		}
	}
	return (double)hits / vectors->k;
}
