/* peer_retrieval.cc - builds an index of another project and asks it, with one setting after
 * another.
 *
 *   peer_faiss | peer_hnswlib FOLDER SECONDS INDEX SETTING...
 *
 * FOLDER is what bench_vectors has filled. INDEX and SETTING are in words of the library:
 * 'IVF1024,PQ32x4fsr,RFlat' 'nprobe=8,k_factor_rf=4', 'M=16,efConstruction=200' 'ef=200'; `-`
 * changes nothing. Prints build, bytes, and of each setting what searches.h says, under its name.
 */
#include "tests/bench/peer/peer_retrieval.hh"

#include <cstdio>
#include <cstdlib>
#include <exception>

namespace
{

size_t search(void *index, unsigned, const float *query, uint32_t k, uint32_t *found)
{
	return static_cast<const peer_index *>(index)->search(query, k, found);
}

void measure(const char *folder, double seconds, const char *name, char **settings)
{
	struct vectors vectors;
	vectors_open(folder, &vectors);
	const uint64_t start = now_ns();
	const std::unique_ptr<peer_index> index = peer_build(vectors, name);
	std::printf("build %.2f s\n", double(now_ns() - start) / 1e9);
	std::printf("bytes %zu bytes\n", index->bytes());
	const struct searcher searcher = {search, peer_alone, index.get()};
	for (; *settings != nullptr; settings++) {
		if (std::string(*settings) != "-") {
			index->set(*settings);
		}
		searches_measure(&vectors, &searcher, seconds, *settings);
	}
	vectors_close(&vectors);
}

} // namespace

int main(int argc, char **argv)
{
	if (argc < 5) {
		die("FOLDER SECONDS INDEX SETTING... is asked for");
	}
	try {
		measure(argv[1], std::atof(argv[2]), argv[3], argv + 4);
	} catch (const std::exception &wrong) {
		die("%s: %s", argv[3], wrong.what());
	}
	return 0;
}
