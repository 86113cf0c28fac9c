/* mapfault.c - the SIGBUS handler for maps, and the list of ranges that it knows. */
#include "daemon/store/system/mapfault.h"

#include <assert.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

/* Entries are never freed, since the handler may walk the list at any time. The next watch takes an
 * entry that was forgotten, from a list of those: a release has a range for each segment, and to
 * look for a free entry among them all would cost the square of their number. `len` is 0 while an
 * entry is free; it is stored last, so the handler never finds an entry that is half filled. */
struct mapfault {
	struct mapfault *next;      /* constant once linked */
	struct mapfault *next_free; /* guarded by free_lock */
	_Atomic uintptr_t start;
	_Atomic size_t len;
	_Atomic(_Atomic unsigned char *) flag;
	_Atomic(_Atomic unsigned char *) pages; /* a mark for each; NULL: none */
	_Atomic unsigned char mark;
	_Atomic unsigned faults;
};

static _Atomic(struct mapfault *) watch_list;
static struct mapfault *free_list;
static pthread_mutex_t free_lock = PTHREAD_MUTEX_INITIALIZER; /* the handler does not take it */
static _Atomic unsigned fault_count;
static _Atomic size_t page_bytes; /* the same by each that installs */

/* What the process did with such a signal before; zeroed: the default. */
static struct sigaction others;
static unsigned beside_count; /* guarded by beside_lock */
static pthread_mutex_t beside_lock = PTHREAD_MUTEX_INITIALIZER;

static struct mapfault *find(uintptr_t address)
{
	for (struct mapfault *at = atomic_load(&watch_list); at != NULL; at = at->next) {
		const size_t len = atomic_load(&at->len);
		const uintptr_t start = atomic_load(&at->start);
		if (address >= start && address - start < len) {
			return at;
		}
	}
	return NULL;
}

/* The page of an address, counted from that of the range's start. */
static size_t page_of(const struct mapfault *watch, uintptr_t address)
{
	return address / page_bytes - atomic_load(&watch->start) / page_bytes;
}

static void mark(struct mapfault *watch, uintptr_t address)
{
	const unsigned char mark = atomic_load(&watch->mark);
	_Atomic unsigned char *pages = atomic_load(&watch->pages);
	const uintptr_t last = atomic_load(&watch->start) + atomic_load(&watch->len) - 1;
	if (pages != NULL && atomic_fetch_add(&watch->faults, 1) < MAPFAULT_PAGES_MAX) {
		atomic_store(&pages[page_of(watch, address)], mark);
	} else if (pages != NULL) {
		for (size_t i = 0; i <= page_of(watch, last); i++) {
			atomic_store(&pages[i], mark);
		}
	}
	atomic_store(atomic_load(&watch->flag), mark);
}

/* It is not ours. */
static void pass_on(int number, siginfo_t *info, void *context)
{
	if ((others.sa_flags & SA_SIGINFO) != 0) {
		others.sa_sigaction(number, info, context);
	} else if (others.sa_handler != SIG_DFL && others.sa_handler != SIG_IGN) {
		others.sa_handler(number);
	} else {
		/* The instruction runs again, and then the default action ends the process. A fault cannot be
		 * ignored either. */
		(void)signal(number, SIG_DFL);
	}
	if ((others.sa_flags & SA_RESETHAND) != 0) {
		(void)signal(number, SIG_DFL);
	}
}

static void on_bus_error(int number, siginfo_t *info, void *context)
{
	const uintptr_t address = (uintptr_t)info->si_addr;
	/* One that another process has sent has no address. */
	struct mapfault *watch = info->si_code > 0 ? find(address) : NULL;
	if (watch != NULL) {
		void *page = (char *)info->si_addr - (address & (page_bytes - 1));
		mark(watch, address);
		atomic_fetch_add(&fault_count, 1);
		if (mmap(page, page_bytes, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != MAP_FAILED) {
			return;
		}
	}
	pass_on(number, info, context);
}

/* A child that reads the catalog watches maps too: nobody else holds the lock at the moment of its fork. */
static pthread_once_t fork_once = PTHREAD_ONCE_INIT;

static void before_fork(void)
{
	(void)pthread_mutex_lock(&beside_lock);
	(void)pthread_mutex_lock(&free_lock);
}

static void after_fork(void)
{
	(void)pthread_mutex_unlock(&free_lock);
	(void)pthread_mutex_unlock(&beside_lock);
}

static void prepare_for_forks(void)
{
	(void)pthread_atfork(before_fork, after_fork, after_fork);
}

static enum status install(int flags, const sigset_t *mask)
{
	page_bytes = (size_t)sysconf(_SC_PAGESIZE);
	assert((page_bytes & (page_bytes - 1)) == 0); /* the handler rounds down by a mask */
	struct sigaction action = {.sa_sigaction = on_bus_error, .sa_flags = SA_SIGINFO | flags};
	sigemptyset(&action.sa_mask);
	if (mask != NULL) {
		action.sa_mask = *mask;
	}
	return sigaction(SIGBUS, &action, NULL) == 0 ? STATUS_OK : STATUS_IO;
}

enum status mapfault_install(void)
{
	return install(0, NULL);
}

enum status mapfault_install_beside(void)
{
	enum status status = STATUS_OK;
	(void)pthread_mutex_lock(&beside_lock);
	if (beside_count == 0) {
		status = sigaction(SIGBUS, NULL, &others) == 0 ? STATUS_OK : STATUS_IO;
	}
	if (status == STATUS_OK && beside_count == 0) {
		/* A thread may have a stack of its own for signals, since its own is small. */
		const int flags = others.sa_flags & (SA_NODEFER | SA_RESTART);
		status = install(SA_ONSTACK | flags, &others.sa_mask);
	}
	beside_count += status == STATUS_OK;
	(void)pthread_mutex_unlock(&beside_lock);
	return status;
}

void mapfault_remove_beside(void)
{
	struct sigaction now;
	(void)pthread_mutex_lock(&beside_lock);
	assert(beside_count > 0);
	if (--beside_count == 0 && sigaction(SIGBUS, NULL, &now) == 0 &&
		(now.sa_flags & SA_SIGINFO) != 0 && now.sa_sigaction == on_bus_error) {
		(void)sigaction(SIGBUS, &others, NULL);
		others = (struct sigaction){0};
	}
	(void)pthread_mutex_unlock(&beside_lock);
}

enum status mapfault_watch_pages(const void *start, size_t len, _Atomic unsigned char *flag,
	_Atomic unsigned char *pages, unsigned char mark, struct mapfault **out)
{
	assert(flag != NULL);
	(void)pthread_once(&fork_once, prepare_for_forks);
	(void)pthread_mutex_lock(&free_lock);
	struct mapfault *watch = free_list;
	free_list = watch == NULL ? NULL : watch->next_free;
	(void)pthread_mutex_unlock(&free_lock);
	const bool is_new = watch == NULL;
	if (is_new) {
		watch = calloc(1, sizeof *watch);
		if (watch == NULL) {
			return STATUS_NO_MEMORY;
		}
	}
	assert(atomic_load(&watch->len) == 0); /* a free entry matches no address */
	atomic_store(&watch->start, (uintptr_t)start);
	atomic_store(&watch->flag, flag);
	atomic_store(&watch->pages, pages);
	atomic_store(&watch->mark, mark);
	atomic_store(&watch->faults, 0);
	atomic_store(&watch->len, len);
	if (is_new) {
		watch->next = atomic_load(&watch_list);
		while (!atomic_compare_exchange_weak(&watch_list, &watch->next, watch)) {
		}
	}
	*out = watch;
	return STATUS_OK;
}

enum status mapfault_watch(const void *start, size_t len, _Atomic unsigned char *flag,
	unsigned char mark, struct mapfault **out)
{
	return mapfault_watch_pages(start, len, flag, NULL, mark, out);
}

void mapfault_forget(struct mapfault *watch)
{
	if (watch != NULL) {
		atomic_store(&watch->len, 0);
		(void)pthread_mutex_lock(&free_lock);
		watch->next_free = free_list;
		free_list = watch;
		(void)pthread_mutex_unlock(&free_lock);
	}
}

unsigned mapfault_count(void)
{
	return atomic_load(&fault_count);
}
