/* peer_hnswlib.cc - a graph of hnswlib. INDEX is 'M=16,efConstruction=200'; with ',longer', inner
 * product is turned into L2 by one more element a vector, sqrt(longest^2 - length^2): neighbours of
 * a graph built by inner product itself are all long, and most vectors are found from nowhere. A
 * setting is 'ef=200'.
 *
 * Source: Bachrach and others, Speeding up the Xbox recommender system using a Euclidean
 * transformation for inner-product spaces, 2014.
 */
#include "tests/bench/peer/peer_retrieval.hh"

#include <hnswlib/hnswlib.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <stdexcept>
#include <thread>
#include <vector>

namespace
{

size_t number_in(const std::string &text, const std::string &name)
{
	const size_t at = text.find(name);
	if (at == std::string::npos) {
		throw std::runtime_error("no '" + name + "' in '" + text + "'");
	}
	return std::stoul(text.substr(at + name.size()));
}

struct hnswlib_index : peer_index {
	size_t dim = 0;      /* of a vector */
	bool longer = false; /* by one more element */
	std::unique_ptr<hnswlib::SpaceInterface<float>> space;
	std::unique_ptr<hnswlib::HierarchicalNSW<float>> graph;

	void set(const std::string &setting) override
	{
		graph->setEf(number_in(setting, "ef="));
	}

	size_t search(const float *query, size_t k, uint32_t *found) const override
	{
		thread_local std::vector<float> copy;
		if (longer) {
			copy.assign(query, query + dim);
			copy.push_back(0);
			query = copy.data();
		}
		auto nearest = graph->searchKnn(query, k);
		const size_t count = nearest.size();
		for (size_t i = count; i > 0; i--) {
			found[i - 1] = uint32_t(nearest.top().second);
			nearest.pop();
		}
		return count;
	}

	/* Vectors and links of the ground floor, and the links above. */
	size_t bytes() const override
	{
		size_t sum = graph->max_elements_ * graph->size_data_per_element_;
		for (const int level : graph->element_levels_) {
			sum += sizeof(char *) + size_t(level) * graph->size_links_per_element_;
		}
		return sum;
	}
};

std::vector<float> longer_rows(const struct vectors &vectors)
{
	std::vector<double> squares(vectors.rows);
	for (size_t i = 0; i < vectors.rows; i++) {
		for (size_t j = 0; j < vectors.dim; j++) {
			const double element = vectors.row[i * vectors.dim + j];
			squares[i] += element * element;
		}
	}
	const double longest = *std::max_element(squares.begin(), squares.end());
	std::vector<float> rows;
	rows.reserve(vectors.rows * (vectors.dim + 1));
	for (size_t i = 0; i < vectors.rows; i++) {
		const float *row = vectors.row + i * vectors.dim;
		rows.insert(rows.end(), row, row + vectors.dim);
		rows.push_back(float(std::sqrt(longest - squares[i])));
	}
	return rows;
}

} // namespace

std::unique_ptr<peer_index> peer_build(const struct vectors &vectors, const std::string &name)
{
	auto made = std::make_unique<hnswlib_index>();
	made->dim = vectors.dim;
	made->longer = name.find(",longer") != std::string::npos;
	const size_t dim = vectors.dim + (made->longer ? 1 : 0);
	std::vector<float> copies;
	if (made->longer) {
		copies = longer_rows(vectors);
	}
	const float *rows = made->longer ? copies.data() : vectors.row;
	if (made->longer || vectors.metric == VECTORS_L2) {
		made->space = std::make_unique<hnswlib::L2Space>(dim);
	} else {
		made->space = std::make_unique<hnswlib::InnerProductSpace>(dim);
	}
	made->graph = std::make_unique<hnswlib::HierarchicalNSW<float>>(made->space.get(),
		vectors.rows, number_in(name, "M="), number_in(name, "efConstruction="));
	made->graph->addPoint(rows, 0);
	std::atomic<size_t> next{1};
	std::vector<std::thread> threads;
	for (unsigned i = 0; i < std::max(1u, std::thread::hardware_concurrency()); i++) {
		threads.emplace_back([&] {
			for (size_t at = next++; at < vectors.rows; at = next++) {
				made->graph->addPoint(rows + at * dim, at);
			}
		});
	}
	for (std::thread &thread : threads) {
		thread.join();
	}
	return made;
}

void peer_alone()
{
}
