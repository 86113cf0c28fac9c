/* peer_faiss.cc - an index of faiss: INDEX is a string for index_factory, perhaps with
 * parameters of the building after a semicolon ('HNSW32,Flat;efConstruction=200'); a setting is one
 * for ParameterSpace.
 */
#include "tests/bench/peer/peer_retrieval.hh"

#include <faiss/AutoTune.h>
#include <faiss/Index.h>
#include <faiss/impl/io.h>
#include <faiss/index_factory.h>
#include <faiss/index_io.h>

#include <omp.h>
#include <vector>

namespace
{

/* Counts what would be written: faiss does not say how much an index holds. */
struct counting_writer : faiss::IOWriter {
	size_t count = 0;
	size_t operator()(const void *, size_t size, size_t items) override
	{
		count += size * items;
		return items;
	}
};

struct faiss_index : peer_index {
	std::unique_ptr<faiss::Index> index;

	void set(const std::string &setting) override
	{
		faiss::ParameterSpace().set_index_parameters(index.get(), setting.c_str());
	}

	size_t search(const float *query, size_t k, uint32_t *found) const override
	{
		thread_local std::vector<float> scores;
		thread_local std::vector<faiss::idx_t> rows;
		scores.resize(k);
		rows.resize(k);
		index->search(1, query, faiss::idx_t(k), scores.data(), rows.data());
		size_t count = 0;
		for (size_t i = 0; i < k; i++) {
			if (rows[i] >= 0) {
				found[count++] = uint32_t(rows[i]);
			}
		}
		return count;
	}

	size_t bytes() const override
	{
		counting_writer writer;
		faiss::write_index(index.get(), &writer);
		return writer.count;
	}
};

} // namespace

std::unique_ptr<peer_index> peer_build(const struct vectors &vectors, const std::string &name)
{
	const size_t at = name.find(';');
	auto made = std::make_unique<faiss_index>();
	made->index.reset(faiss::index_factory(int(vectors.dim), name.substr(0, at).c_str(),
		vectors.metric == VECTORS_L2 ? faiss::METRIC_L2 : faiss::METRIC_INNER_PRODUCT));
	if (at != std::string::npos) {
		made->set(name.substr(at + 1));
	}
	made->index->train(faiss::idx_t(vectors.rows), vectors.row);
	made->index->add(faiss::idx_t(vectors.rows), vectors.row);
	return made;
}

void peer_alone()
{
	omp_set_num_threads(1);
}
