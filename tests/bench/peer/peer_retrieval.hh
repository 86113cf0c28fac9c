/* peer_retrieval.hh - an index of another project, as the benchmark of retrieval asks it.
 *
 * peer_faiss.cc and peer_hnswlib.cc each make one; tests/bench/retrieval compiles them, as a
 * program each, where their libraries are. peer_retrieval.cc is what they share.
 */
#ifndef TESTS_BENCH_PEER_PEER_RETRIEVAL_HH
#define TESTS_BENCH_PEER_PEER_RETRIEVAL_HH

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

extern "C" {
#include "tests/bench/driver/measure.h"
#include "tests/bench/driver/searches.h"
}

struct peer_index {
	virtual ~peer_index() = default;
	/* What a search looks at, in words of the library: "nprobe=8,k_factor_rf=4". */
	virtual void set(const std::string &setting) = 0;
	virtual size_t search(const float *query, size_t k,
		uint32_t *found) const = 0; /* as in searches.h */
	/* What it holds: vectors, codes, lists and links. */
	virtual size_t bytes() const = 0;
};

/* Holds all vectors, built by all processors. `name`: what it is, in words of the library. */
std::unique_ptr<peer_index> peer_build(const struct vectors &vectors, const std::string &name);

/* From now on, what this thread asks is done by this thread alone. */
void peer_alone();

#endif
