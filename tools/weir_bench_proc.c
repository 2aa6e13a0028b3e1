#include <stdlib.h>
#include <string.h>

#include "tools/weir_bench.h"

#define STEAL_ALLOWED 0.005
#define OTHER_ALLOWED 0.05

/* The line "cpu ..." or "cpuN ...". proc(5): user nice system idle iowait irq softirq steal, ticks. */
bool parse_proc_stat(const char *text, int cpu, struct cpu_ticks *ticks)
{
	while (text != NULL && strncmp(text, "cpu", 3) == 0) {
		uint64_t fields[8] = { 0 };
		char *at = (char *)text + 3;
		int number = *at == ' ' ? -1 : (int)strtol(at, &at, 10);

		if (number == cpu) {
			for (int i = 0; i < 8; i++)
				fields[i] = strtoull(at, &at, 10);
			*ticks = (struct cpu_ticks){
				.user = fields[0] + fields[1],
				.system = fields[2],
				.idle = fields[3] + fields[4],
				.irq = fields[5],
				.softirq = fields[6],
				.steal = fields[7],
			};
			return true;
		}
		text = strchr(text, '\n');
		text = text != NULL ? text + 1 : NULL;
	}
	return false;
}

/* kernel: idle and iowait may step back a little; what would be negative is 0. */
static uint64_t grown(uint64_t before, uint64_t after)
{
	return after > before ? after - before : 0;
}

struct cpu_ticks ticks_between(const struct cpu_ticks *before, const struct cpu_ticks *after)
{
	return (struct cpu_ticks){
		.user = grown(before->user, after->user),
		.system = grown(before->system, after->system),
		.softirq = grown(before->softirq, after->softirq),
		.irq = grown(before->irq, after->irq),
		.steal = grown(before->steal, after->steal),
		.idle = grown(before->idle, after->idle),
	};
}

uint64_t parse_status_bytes(const char *text, const char *key)
{
	const char *at = strstr(text, key);

	return at != NULL ? strtoull(at + strlen(key) + 1, NULL, 10) * 1024 : 0;
}

/* Softirq and interrupt ticks are the traffic's own cost wherever they land, and are not "other". */
struct disturbance disturbance_of(const struct cpu_ticks *all, double ticks_a_second, double seconds,
				  double known_cpu_seconds)
{
	double busy = (double)(all->user + all->system) / ticks_a_second;
	double total = busy + (double)(all->softirq + all->irq + all->steal + all->idle) / ticks_a_second;
	struct disturbance disturbance = { 0 };

	if (total > 0)
		disturbance.steal = (double)all->steal / ticks_a_second / total;
	if (seconds > 0 && busy > known_cpu_seconds)
		disturbance.other = (busy - known_cpu_seconds) / seconds;
	return disturbance;
}

bool is_disturbed(const struct disturbance *disturbance)
{
	return disturbance->steal > STEAL_ALLOWED || disturbance->other > OTHER_ALLOWED;
}
