/* file_kind.c - knows files by their first bytes and by their endings. */
#include "tools/format/file_kind.h"

#include <stdbool.h>
#include <string.h>

enum { ENDINGS_MAX = 5 };

static const struct kind {
	const char *endings[ENDINGS_MAX];
	const char *magic; /* the first bytes; NULL: only its ending tells */
	size_t magic_bytes;
	const char *says;
} kinds[] = {
	{{".npy"}, "\x93NUMPY", 6,
		"an npy file: import takes it as --rows X.npy, with --keys K.npy"},
	{{".gz"}, "\x1f\x8b", 2,
		"compressed by gzip: zcat FILE | repstore import RELEASE/TABLE --format jsonl -"},
	{{".zst"}, "\x28\xb5\x2f\xfd", 4,
		"compressed by zstd: zstdcat FILE | repstore import RELEASE/TABLE --format jsonl -"},
	{{".xz"}, "\xfd\x37zXZ", 5,
		"compressed by xz: xzcat FILE | repstore import RELEASE/TABLE --format jsonl -"},
	{{".pt", ".pth", ".ckpt"}, NULL, 0,
		"torch.save, which writes pickles, and pickles are programs: in Python load it and, of "
		"tensors k and r, np.savez('rows.npz', keys=k.numpy(), rows=r.float().cpu().numpy())"},
	{{".zip"}, "PK\x03\x04", 4,
		"a zip archive: that of np.savez is imported alone, as FILE.npz; that of torch.save holds "
		"pickles, so in Python load it and np.savez('rows.npz', keys=..., rows=...)"},
	{{".parquet", ".feather", ".arrow"}, "PAR1", 4,
		"Parquet: in Python np.savez('rows.npz', keys=table['key'].to_numpy(), "
		"rows=np.stack(table['vector']).astype('f4'))"},
	{{".safetensors"}, NULL, 0,
		"a safetensors file: import takes it alone, with tensors keys and rows, as "
		"FILE.safetensors; tensor import takes one with tensors of any name"},
	{{".csv", ".tsv", ".txt"}, NULL, 0,
		"CSV: in Python np.savez('rows.npz', keys=np.loadtxt(FILE, 'u8', delimiter=',', usecols=0), "
		"rows=...) with the other columns as rows of dtype 'f4'"},
	{{".pkl", ".pickle"}, "\x80", 1,
		"a pickle, which is a program: in Python load it and np.savez('rows.npz', keys=..., rows=...)"},
	{{".h5", ".hdf5"}, "\x89HDF", 4,
		"HDF5: in Python np.savez('rows.npz', keys=h5py.File(FILE)['NAME'][:], rows=...)"},
	{{".json"}, NULL, 0,
		"JSON: an array of rows becomes one object a line by jq -c '.[]' FILE > FILE.jsonl"},
	{{NULL}, "\xff\xfe", 2, "UTF-16: iconv -f UTF-16 -t UTF-8 FILE makes UTF-8 of it"},
	{{NULL}, "\xfe\xff", 2, "UTF-16: iconv -f UTF-16 -t UTF-8 FILE makes UTF-8 of it"},
};
enum { KINDS = sizeof kinds / sizeof kinds[0] };

static bool ends_in(const char *path, const char *ending)
{
	const size_t path_len = strlen(path);
	const size_t ending_len = strlen(ending);
	return path_len > ending_len && strcasecmp(path + path_len - ending_len, ending) == 0;
}

const char *file_kind_by_name(const char *path)
{
	for (size_t i = 0; i < KINDS; i++) {
		for (size_t j = 0; j < ENDINGS_MAX && kinds[i].endings[j] != NULL; j++) {
			if (ends_in(path, kinds[i].endings[j])) {
				return kinds[i].says;
			}
		}
	}
	return NULL;
}

/* A length of 8 bytes and the beginning of a JSON object. */
static bool is_safetensors(const uint8_t *head, size_t len)
{
	return len >= 10 && head[5] == 0 && head[6] == 0 && head[7] == 0 && head[8] == '{' &&
	       (head[9] == '"' || head[9] == '}' || head[9] == ' ');
}

const char *file_kind_by_content(const uint8_t *head, size_t len)
{
	for (size_t i = 0; i < KINDS; i++) {
		const size_t bytes = kinds[i].magic_bytes;
		/* A pickle and a map of MessagePack may begin alike; a pickle goes on with its version. */
		const bool pickle = bytes == 1;
		if (bytes > 0 && len > bytes && memcmp(head, kinds[i].magic, bytes) == 0 &&
			(!pickle || (head[1] >= 2 && head[1] <= 5))) {
			return kinds[i].says;
		}
	}
	return is_safetensors(head, len) ? file_kind_by_name("x.safetensors") : NULL;
}
