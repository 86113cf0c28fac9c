/* peer_retrieval.cc - builds an index of another project and asks it, with one setting after another.
 *
 *   peer_faiss | peer_hnswlib FOLDER SECONDS INDEX SETTING...
 *
 * FOLDER is what bench_vectors has filled. INDEX and SETTING are in words of the library:
 * 'IVF1024,PQ32x4fsr,RFlat' 'nprobe=8,k_factor_rf=4', 'M=16,efConstruction=200' 'ef=200'; `-` changes
 * nothing. With each setting, all queries are asked once for the recall; then, for SECONDS
 * each, one after the other by one thread, and by two threads. Prints `name value unit` lines: build,
 * bytes, and of each setting SETTING_recall, _rate, _p50 and so on, _processors (what the one thread's
 * turn took of them: 1), _by_two.
 */
#include "tests/bench/peer_retrieval.hh"

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <thread>
#include <vector>

namespace
{

const float *query_at(const struct vectors &vectors, size_t number)
{
	return vectors.query + number % vectors.queries * vectors.dim;
}

double recall_of(const struct vectors &vectors, const searcher &index)
{
	std::vector<uint32_t> found(vectors.k);
	double sum = 0;
	for (uint32_t i = 0; i < vectors.queries; i++) {
		const size_t count = index.search(query_at(vectors, i), vectors.k, found.data());
		sum += vectors_recall(&vectors, i, found.data(), count);
	}
	return sum / vectors.queries;
}

void ask_alone(const struct vectors &vectors, const searcher &index, double seconds,
	const std::string &name)
{
	std::vector<uint32_t> found(vectors.k);
	struct samples samples = {};
	const uint64_t start = now_ns();
	const uint64_t cpu_start = client_cpu_ns();
	const uint64_t end = start + uint64_t(seconds * 1e9);
	uint64_t last = start;
	for (size_t i = 0; last < end; i++) {
		index.search(query_at(vectors, i), vectors.k, found.data());
		const uint64_t now = now_ns();
		samples_add(&samples, now - last);
		last = now;
	}
	const double processors = double(client_cpu_ns() - cpu_start) / double(last - start);
	samples_print(&samples, name.c_str());
	samples_fini(&samples);
	std::printf("%s_processors %.2f processors\n", name.c_str(), processors);
}

double ask_by_two(const struct vectors &vectors, const searcher &index, double seconds)
{
	std::atomic<size_t> asked{0};
	std::vector<std::thread> threads;
	const uint64_t start = now_ns();
	const uint64_t end = start + uint64_t(seconds * 1e9);
	for (size_t which = 0; which < 2; which++) {
		threads.emplace_back([&, which] {
			searcher_alone();
			std::vector<uint32_t> found(vectors.k);
			size_t count = 0;
			for (size_t at = which * vectors.queries / 2; now_ns() < end; at++) {
				index.search(query_at(vectors, at), vectors.k, found.data());
				count++;
			}
			asked += count;
		});
	}
	for (std::thread &thread : threads) {
		thread.join();
	}
	return double(asked.load()) * 1e9 / double(now_ns() - start);
}

void measure(char **argv)
{
	struct vectors vectors;
	vectors_open(argv[1], &vectors);
	if (vectors.nearest == nullptr) {
		die("'%s': no nearest.u32", argv[1]);
	}
	const double seconds = std::atof(argv[2]);
	const uint64_t start = now_ns();
	const std::unique_ptr<searcher> index = searcher_build(vectors, argv[3]);
	std::printf("build %.2f s\n", double(now_ns() - start) / 1e9);
	std::printf("bytes %zu bytes\n", index->bytes());
	searcher_alone();
	for (char **setting = argv + 4; *setting != nullptr; setting++) {
		const std::string name = *setting;
		if (name != "-") {
			index->set(name);
		}
		std::printf("%s_recall %.5f share\n", *setting, recall_of(vectors, *index));
		ask_alone(vectors, *index, seconds, name);
		std::printf("%s_by_two %.0f /s\n", *setting, ask_by_two(vectors, *index, seconds));
		std::fflush(stdout);
	}
	vectors_close(&vectors);
}

} // namespace

int main(int argc, char **argv)
{
	if (argc == 2 && std::string(argv[1]) == "version") {
		std::printf("%s\n", searcher_version);
		return 0;
	}
	if (argc < 5) {
		die("FOLDER SECONDS INDEX SETTING... is asked for");
	}
	try {
		measure(argv);
	} catch (const std::exception &wrong) {
		die("%s: %s", argv[3], wrong.what());
	}
	return 0;
}
