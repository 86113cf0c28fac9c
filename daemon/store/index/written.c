/* written.c - memory of the images of what was written, and who holds it. */
#include "daemon/store/index/written.h"

#include "daemon/store/system/refs.h"

#include <assert.h>
#include <stdlib.h>

static void count(struct written_image *image, uint64_t bytes)
{
	image->bytes += bytes;
	atomic_fetch_add_explicit(image->counted, bytes, memory_order_relaxed);
}

struct written_image *written_image_new(_Atomic uint64_t *counted, size_t rows)
{
	struct written_image *image = calloc(1, sizeof *image);
	if (image == NULL) {
		return NULL;
	}
	atomic_init(&image->refs, 1);
	image->counted = counted;
	/* One more, since malloc(0) may be NULL. */
	image->rows = malloc((rows + 1) * sizeof *image->rows);
	count(image, sizeof *image + (rows + 1) * sizeof *image->rows);
	if (image->rows == NULL) {
		written_image_drop(image);
		return NULL;
	}
	return image;
}

enum status written_image_make_room(struct written_image *image, size_t bytes)
{
	assert(image->data == NULL);
	if (posix_memalign(&image->data, BALLS_ALIGN, bytes) != 0) {
		image->data = NULL;
		return STATUS_NO_MEMORY;
	}
	count(image, bytes);
	return STATUS_OK;
}

void written_image_drop(struct written_image *image)
{
	if (image == NULL || !refs_drop(&image->refs)) {
		return;
	}
	atomic_fetch_sub_explicit(image->counted, image->bytes, memory_order_relaxed);
	free(image->data);
	free(image->rows);
	free(image);
}

struct written_images *written_images_new(struct written_image *const *images, size_t count)
{
	struct written_images *all = malloc(sizeof *all + count * sizeof(struct written_image *));
	if (all == NULL) {
		return NULL;
	}
	atomic_init(&all->refs, 1);
	all->count = count;
	for (size_t i = 0; i < count; i++) {
		refs_hold(&images[i]->refs);
		all->images[i] = images[i];
	}
	return all;
}

void written_images_hold(struct written_images *images)
{
	if (images != NULL) {
		refs_hold(&images->refs);
	}
}

void written_images_drop(struct written_images *images)
{
	if (images == NULL || !refs_drop(&images->refs)) {
		return;
	}
	for (size_t i = 0; i < images->count; i++) {
		written_image_drop(images->images[i]);
	}
	free(images);
}
