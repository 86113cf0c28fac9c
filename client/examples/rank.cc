// rank.cc - candidates of many users are ranked at once, in C++17 over epoll, in one thread.
//
//     c++ -std=c++17 rank.cc $(pkg-config --cflags --libs librepstore) -o rank
//     ./rank /run/repstore/repstore.sock ur ir 1000
//
// Each of the users 0 ... N-1 has its row of the first table and those of the items 0 ... 99 of the
// second fetched in one request; their inner products are the scores. All N requests are under way at
// once. The best item of each user is printed, and to stderr how many requests were the most under way.
#include <repstore.h>
#include <repstore_async.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <numeric>
#include <stdexcept>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

namespace {

// Keys of a user and its candidates, and the rows that were fetched.
struct Request {
	std::vector<std::uint64_t> user, items;
	std::vector<float> ur, ir;
	std::vector<std::uint8_t> found = std::vector<std::uint8_t>(13);
	rep_part parts[2] = {};

	Request(const char *ur_table, const char *ir_table, std::uint64_t key, std::uint32_t count)
		: user{key}, items(count)
	{
		std::iota(items.begin(), items.end(), 0);
		parts[0].table = ur_table;
		parts[0].keys = rep_keys_u64(user.data(), 1);
		parts[1].table = ir_table;
		parts[1].keys = rep_keys_u64(items.data(), count);
		parts[1].found = found.data();
		parts[0].dtype = parts[1].dtype = REP_F32;
	}

	// The answer says how much room its rows need, before it is copied.
	bool make_room()
	{
		ur.resize(parts[0].dim);
		ir.resize(items.size() * parts[1].dim);
		parts[0].rows = ur.data();
		parts[0].rows_bytes = ur.size() * sizeof(float);
		parts[1].rows = ir.data();
		parts[1].rows_bytes = ir.size() * sizeof(float);
		return parts[0].dim == parts[1].dim;
	}

	std::pair<std::uint64_t, float> best() const
	{
		std::pair<std::uint64_t, float> best{0, -1e30f};
		for (std::size_t i = 0; i < items.size(); i++) {
			const float *row = ir.data() + i * ur.size();
			const float score = std::inner_product(ur.begin(), ur.end(), row, 0.0f);
			if ((found[i / 8] >> i % 8 & 1) != 0 && score > best.second) {
				best = {items[i], score};
			}
		}
		return best;
	}
};

// A client whose calls end in functions.
class Client {
public:
	explicit Client(const char *address)
	{
		rep_options options = {};
		options.address = address;
		check(rep_async_open(&options, nullptr, &async_, &error_));
	}
	~Client() { rep_async_close(async_); }
	Client(const Client &) = delete;
	Client &operator=(const Client &) = delete;

	int descriptor() const { return rep_async_fd(async_); }
	std::size_t under_way() const { return waiting_.size(); }

	// done(message): empty when the request has its rows.
	void fetch(Request &request, std::function<void(const std::string &)> done)
	{
		std::uint64_t ticket = 0;
		check(rep_async_fetch(async_, nullptr, request.parts, 2, &ticket, &error_));
		waiting_.emplace(ticket, std::make_pair(&request, std::move(done)));
	}

	void step()
	{
		std::uint64_t ticket = 0;
		rep_async_step(async_);
		while (rep_async_next(async_, &ticket)) {
			auto node = waiting_.extract(ticket);
			auto &[request, done] = node.mapped();
			done(take(ticket, *request));
		}
	}

private:
	std::string take(std::uint64_t ticket, Request &request)
	{
		float none = 0;
		request.parts[0].rows = request.parts[1].rows = &none; // too little: the shapes are filled
		rep_status status = rep_async_fetched(async_, ticket, request.parts, 2, nullptr, &error_);
		if (status == REP_TOO_LARGE && request.make_room()) {
			status = rep_async_fetched(async_, ticket, request.parts, 2, nullptr, &error_);
		}
		return status == REP_OK ? "" : error_.text;
	}
	void check(rep_status status) const
	{
		if (status != REP_OK) {
			throw std::runtime_error(error_.text);
		}
	}

	rep_async *async_ = nullptr;
	rep_error error_ = {};
	std::unordered_map<std::uint64_t, std::pair<Request *, std::function<void(const std::string &)>>>
		waiting_;
};

int run(const char *address, const char *ur, const char *ir, std::uint64_t users)
{
	constexpr std::uint32_t kItems = 100;
	Client client(address);
	std::vector<Request> requests;
	std::size_t most = 0;
	bool failed = false;
	requests.reserve(users);
	for (std::uint64_t user = 0; user < users; user++) {
		Request &request = requests.emplace_back(ur, ir, user, kItems);
		client.fetch(request, [&request, &failed](const std::string &message) {
			if (!message.empty()) {
				std::fprintf(stderr, "%s\n", message.c_str());
				failed = true;
				return;
			}
			const auto [item, score] = request.best();
			std::printf("%llu\t%llu\t%g\n",
				static_cast<unsigned long long>(request.user[0]),
				static_cast<unsigned long long>(item), static_cast<double>(score));
		});
		most = std::max(most, client.under_way());
	}
	const int epoll = epoll_create1(EPOLL_CLOEXEC);
	epoll_event event = {};
	event.events = EPOLLIN;
	if (epoll < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, client.descriptor(), &event) != 0) {
		throw std::runtime_error("the descriptor cannot be polled");
	}
	while (client.under_way() > 0) {
		epoll_wait(epoll, &event, 1, -1);
		client.step();
	}
	close(epoll);
	std::fprintf(stderr, "%zu under way at once\n", most);
	return failed ? 1 : 0;
}

} // namespace

int main(int argc, char **argv)
{
	if (argc != 5) {
		std::fprintf(stderr, "usage: rank ADDRESS UR_TABLE IR_TABLE USERS\n");
		return 2;
	}
	try {
		return run(argv[1], argv[2], argv[3], std::strtoull(argv[4], nullptr, 10));
	} catch (const std::exception &error) {
		std::fprintf(stderr, "%s\n", error.what());
		return 1;
	}
}
