#include <errno.h>
#include <linux/ethtool.h>
#include <linux/net_tstamp.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "engine/sources/afpacket_internal.h"

static int device_ioctl(const char *name, unsigned long request, void *data)
{
	struct ifreq device = { .ifr_data = data };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int result;

	if (fd < 0)
		return -errno;
	snprintf(device.ifr_name, sizeof device.ifr_name, "%s", name);
	result = ioctl(fd, request, &device) == 0 ? 0 : -errno;
	close(fd);
	return result;
}

int afpacket_host_time_hardware(const char *name)
{
	struct hwtstamp_config config = { 0 };

	/* Someone (a PTP daemon) may have it on already; then it is not ours to change. */
	if (device_ioctl(name, SIOCGHWTSTAMP, &config) == 0 && config.rx_filter == HWTSTAMP_FILTER_ALL)
		return 0;
	config.rx_filter = HWTSTAMP_FILTER_ALL;
	return device_ioctl(name, SIOCSHWTSTAMP, &config);
}

void afpacket_host_offloads(const char *name, char *text, size_t size)
{
	static const struct {
		uint32_t command;
		uint32_t mask;
		const char *option;
	} offloads[] = {
		{ ETHTOOL_GGRO, 1, "gro" },
		{ ETHTOOL_GFLAGS, ETH_FLAG_LRO, "lro" },
		{ ETHTOOL_GTSO, 1, "tso" },
		{ ETHTOOL_GGSO, 1, "gso" },
	};
	size_t used = 0;

	text[0] = '\0';
	for (size_t i = 0; i < sizeof offloads / sizeof offloads[0]; i++) {
		struct ethtool_value value = { .cmd = offloads[i].command };

		if (device_ioctl(name, SIOCETHTOOL, &value) != 0 || !(value.data & offloads[i].mask))
			continue;
		used += (size_t)snprintf(text + used, size - used, "%s%s off", used > 0 ? " " : "", offloads[i].option);
		if (used >= size)
			return;
	}
}

uint64_t afpacket_host_softnet_drops(void)
{
	/* One line a CPU, hexadecimal; the second column is drops (net/core/net-procfs.c). */
	FILE *file = fopen("/proc/net/softnet_stat", "re");
	unsigned processed, dropped;
	uint64_t total = 0;
	char line[256];

	if (file == NULL)
		return 0;
	while (fgets(line, sizeof line, file) != NULL) {
		if (sscanf(line, "%x %x", &processed, &dropped) == 2)
			total += dropped;
	}
	fclose(file);
	return total;
}
