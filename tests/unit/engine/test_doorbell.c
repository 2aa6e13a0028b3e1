/* The doorbell: who sleeps is woken for what it sleeps for, once, and by nothing else. */
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "engine/doorbell.h"

#define THIS (UINT32_C(1) << 0)
#define OTHER (UINT32_C(1) << 1)
#define ROUNDS 20000

static bool rings(const struct doorbell *bell)
{
	struct pollfd ready = { .fd = bell->fd, .events = POLLIN };

	return poll(&ready, 1, 0) == 1;
}

static void test_awake(void **state)
{
	struct doorbell bell;

	(void)state;
	assert_int_equal(doorbell_open(&bell), 0);
	doorbell_ring(&bell, DOORBELL_CALL | THIS);
	assert_false(rings(&bell));
	doorbell_announce(&bell, THIS);
	doorbell_awake(&bell);
	doorbell_ring(&bell, DOORBELL_CALL | THIS);
	assert_false(rings(&bell));
	doorbell_close(&bell);
}

static void test_only_what_was_announced(void **state)
{
	struct doorbell bell;

	(void)state;
	assert_int_equal(doorbell_open(&bell), 0);
	doorbell_announce(&bell, THIS);
	doorbell_ring(&bell, OTHER);
	assert_false(rings(&bell));
	doorbell_ring(&bell, OTHER | THIS);
	assert_true(rings(&bell));
	doorbell_awake(&bell);
	assert_false(rings(&bell));

	doorbell_announce(&bell, 0);
	doorbell_ring(&bell, THIS);
	assert_false(rings(&bell));
	doorbell_ring(&bell, DOORBELL_CALL);
	assert_true(rings(&bell));
	doorbell_close(&bell);
}

/* The second of two rings finds nobody asleep: one write wakes once. */
static void test_rings_once(void **state)
{
	struct doorbell bell;
	uint64_t count = 0;

	(void)state;
	assert_int_equal(doorbell_open(&bell), 0);
	doorbell_announce(&bell, THIS);
	doorbell_ring(&bell, THIS);
	doorbell_ring(&bell, THIS);
	assert_int_equal(read(bell.fd, &count, sizeof count), sizeof count);
	assert_int_equal(count, 1);
	doorbell_close(&bell);
}

/* A ringer that has found the sleeper but is held up before it writes: the ring is read when it is there, and does not
 * go on for ever. */
static void test_a_late_ring_is_read(void **state)
{
	struct doorbell bell;
	uint64_t one = 1;

	(void)state;
	assert_int_equal(doorbell_open(&bell), 0);
	doorbell_announce(&bell, THIS);
	assert_int_equal(atomic_exchange(&bell.announced, 0), DOORBELL_CALL | THIS);
	doorbell_awake(&bell);
	assert_int_equal(bell.owed, 1);
	doorbell_announce(&bell, THIS);
	doorbell_ring(&bell, THIS);
	assert_int_equal(write(bell.fd, &one, sizeof one), sizeof one); /* the late one, behind a second */
	doorbell_awake(&bell);
	assert_int_equal(bell.owed, 0);
	assert_false(rings(&bell));
	doorbell_close(&bell);
}

struct exchange {
	struct doorbell bell;
	_Atomic uint32_t work;
};

static void *ring_rounds(void *context)
{
	struct exchange *exchange = context;

	for (uint32_t round = 1; round <= ROUNDS; round++) {
		atomic_store_release(&exchange->work, round);
		doorbell_ring(&exchange->bell, round % 2 != 0 ? THIS : DOORBELL_CALL);
		doorbell_ring(&exchange->bell, OTHER);
	}
	return NULL;
}

/* No wake-up is lost: the sleeper sees every round's work, or a later one's, and never sleeps for ever. */
static void test_two_threads(void **state)
{
	struct exchange exchange = { .work = 0 };
	pthread_t ringer;
	uint32_t seen = 0;

	(void)state;
	assert_int_equal(doorbell_open(&exchange.bell), 0);
	assert_int_equal(pthread_create(&ringer, NULL, ring_rounds, &exchange), 0);
	while (seen < ROUNDS) {
		struct pollfd ready = { .fd = exchange.bell.fd, .events = POLLIN };
		uint32_t now;

		doorbell_announce(&exchange.bell, THIS);
		now = atomic_load_acquire(&exchange.work);
		if (now == seen)
			assert_int_equal(poll(&ready, 1, 10000), 1);
		doorbell_awake(&exchange.bell);
		assert_true(now >= seen);
		seen = now;
	}
	pthread_join(ringer, NULL);
	doorbell_close(&exchange.bell);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_awake),
		cmocka_unit_test(test_only_what_was_announced),
		cmocka_unit_test(test_rings_once),
		cmocka_unit_test(test_a_late_ring_is_read),
		cmocka_unit_test(test_two_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
