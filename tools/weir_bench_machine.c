#include <dirent.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <unistd.h>
#include <zlib.h>

#include "tools/weir_bench.h"

/* The text behind "key : " in a file like /proc/cpuinfo. */
static void value_of(const char *text, const char *key, char *value, size_t size)
{
	const char *at = strstr(text, key);

	if (at == NULL || (at = strchr(at, ':')) == NULL)
		return;
	at += 1 + strspn(at + 1, " \t");
	snprintf(value, size, "%.*s", (int)strcspn(at, "\n"), at);
}

static void one_line(const char *path, char *value, size_t size)
{
	if (read_text(path, value, size) == 0)
		value[strcspn(value, "\n")] = '\0';
}

/* "srso: Mitigation: ..." of every vulnerability that is mitigated; the others cost nothing. */
static void read_mitigations(char *text, size_t size)
{
	static const char directory[] = "/sys/devices/system/cpu/vulnerabilities";
	DIR *entries = opendir(directory);
	struct dirent *entry;
	size_t used = 0;

	while (entries != NULL && (entry = readdir(entries)) != NULL) {
		char path[512], value[256] = "";

		snprintf(path, sizeof path, "%s/%s", directory, entry->d_name);
		if (entry->d_name[0] == '.' || read_text(path, value, sizeof value) != 0)
			continue;
		value[strcspn(value, "\n;,")] = '\0';
		if (strncmp(value, "Mitigation: ", 12) == 0 && used + strlen(entry->d_name) + strlen(value) < size)
			used += (size_t)snprintf(text + used, size - used, "%s%s: %s", used > 0 ? "; " : "",
						 entry->d_name, value + 12);
	}
	if (entries != NULL)
		closedir(entries);
	if (used == 0)
		snprintf(text, size, "none");
}

static bool ethtool(const char *interface, void *command)
{
	struct ifreq request = { 0 };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool good;

	snprintf(request.ifr_name, sizeof request.ifr_name, "%s", interface);
	request.ifr_data = command;
	good = fd >= 0 && ioctl(fd, SIOCETHTOOL, &request) == 0;
	if (fd >= 0)
		close(fd);
	return good;
}

static void read_interface(struct bench_machine *machine, const char *interface)
{
	static const struct {
		unsigned command;
		const char *name;
	} offloads[] = { { ETHTOOL_GTSO, "tso" }, { ETHTOOL_GGSO, "gso" }, { ETHTOOL_GGRO, "gro" },
			 { ETHTOOL_GRXCSUM, "rx-checksum" }, { ETHTOOL_GTXCSUM, "tx-checksum" } };
	struct ethtool_drvinfo info = { .cmd = ETHTOOL_GDRVINFO };
	size_t used = 0;

	if (ethtool(interface, &info))
		snprintf(machine->driver, sizeof machine->driver, "%.31s %.31s", info.driver, info.version);
	for (size_t i = 0; i < sizeof offloads / sizeof offloads[0]; i++) {
		struct ethtool_value value = { .cmd = offloads[i].command };

		if (ethtool(interface, &value))
			used += (size_t)snprintf(machine->offloads + used, sizeof machine->offloads - used, "%s%s %s",
						 used > 0 ? ", " : "", offloads[i].name, value.data ? "on" : "off");
	}
}

/* Whether softirq time is measured, not sampled by the tick and charged to whom it interrupted. */
static bool irq_time_accounted(void)
{
	gzFile config = gzopen("/proc/config.gz", "rb");
	char line[512];
	bool accounted = false;

	while (config != NULL && gzgets(config, line, sizeof line) != NULL)
		accounted |= strncmp(line, "CONFIG_IRQ_TIME_ACCOUNTING=y", 28) == 0 ||
			     strncmp(line, "CONFIG_VIRT_CPU_ACCOUNTING_GEN=y", 32) == 0;
	if (config != NULL)
		gzclose(config);
	return accounted;
}

void machine_read(struct bench_machine *machine, const char *interface)
{
	static char text[65536];
	struct utsname name;
	struct sysinfo memory;

	memset(machine, 0, sizeof *machine);
	if (uname(&name) == 0)
		snprintf(machine->kernel, sizeof machine->kernel, "%.50s %.40s %.30s", name.sysname, name.release,
			 name.machine);
	if (read_text("/proc/cpuinfo", text, sizeof text) == 0) {
		value_of(text, "model name", machine->cpu_model, sizeof machine->cpu_model);
		if (strstr(text, " hypervisor") != NULL)
			snprintf(machine->hypervisor, sizeof machine->hypervisor, "virtual machine");
	}
	one_line("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", machine->governor,
		 sizeof machine->governor);
	machine->cpus = (unsigned)sysconf(_SC_NPROCESSORS_ONLN);
	if (sysinfo(&memory) == 0)
		machine->memory_bytes = (uint64_t)memory.totalram * memory.mem_unit;
	read_mitigations(machine->mitigations, sizeof machine->mitigations);
	read_interface(machine, interface);
	machine->irq_accounting = irq_time_accounted();
}
