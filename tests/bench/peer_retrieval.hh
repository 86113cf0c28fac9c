/* peer_retrieval.hh - an index of another project, as the benchmark of retrieval asks it.
 *
 * peer_faiss.cc and peer_hnswlib.cc each make one; tests/bench/retrieval compiles them, as a program
 * each, where their libraries are. peer_retrieval.cc is what they share.
 */
#ifndef TESTS_BENCH_PEER_RETRIEVAL_HH
#define TESTS_BENCH_PEER_RETRIEVAL_HH

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

extern "C" {
#include "tests/bench/measure.h"
#include "tests/bench/vectors.h"
}

struct searcher {
	virtual ~searcher() = default;
	/* What a search looks at, in words of the library: "nprobe=8,k_factor_rf=4". */
	virtual void set(const std::string &setting) = 0;
	/* Puts the k nearest that it finds into `found`, the best first; their number. Threads: any,
	 * after set(). */
	virtual size_t search(const float *query, size_t k, uint32_t *found) const = 0;
	/* What it holds: vectors, codes, lists and links. */
	virtual size_t bytes() const = 0;
};

extern const char *const searcher_version;

/* Holds all vectors, built by all processors. `index`: what it is, in words of the library. */
std::unique_ptr<searcher> searcher_build(const struct vectors &vectors, const std::string &index);

/* From now on, what this thread asks is done by this thread alone. */
void searcher_alone();

#endif
