/* Source: https://github.com/corelight/community-id-spec, version 1; the pairs of ICMP types are those of its
 * reference implementation (Zeek's). */
#include <errno.h>
#include <stdlib.h>

#include <openssl/evp.h>

#include "engine/flow/flow.h"

#define SHA1_BYTES 20

struct flow_digest {
	EVP_MD *sha1;
	EVP_MD_CTX *context;
};

void flow_digest_close(struct flow_digest *digest)
{
	if (!digest)
		return;
	EVP_MD_CTX_free(digest->context);
	EVP_MD_free(digest->sha1);
	free(digest);
}

int flow_digest_create(struct flow_digest **digest)
{
	struct flow_digest *made = calloc(1, sizeof *made);

	*digest = NULL;
	if (!made)
		return -ENOMEM;
	made->sha1 = EVP_MD_fetch(NULL, "SHA1", NULL);
	made->context = EVP_MD_CTX_new();
	if (!made->sha1 || !made->context || !EVP_DigestInit_ex(made->context, made->sha1, NULL)) {
		flow_digest_close(made);
		return -ENOSYS;
	}
	*digest = made;
	return 0;
}

struct icmp_pair {
	uint8_t a, b;
};

static bool icmp_counterpart(const struct flow *flow, uint8_t *counterpart)
{
	static const struct icmp_pair v4[] = { { 8, 0 }, { 13, 14 }, { 15, 16 }, { 10, 9 }, { 17, 18 } };
	static const struct icmp_pair v6[] = { { 128, 129 }, { 130, 131 }, { 133, 134 },
					       { 135, 136 }, { 139, 140 }, { 144, 145 } };
	const struct icmp_pair *pairs = flow->ip_protocol == 1 ? v4 : v6;
	unsigned count = flow->ip_protocol == 1 ? sizeof v4 / sizeof v4[0] : sizeof v6 / sizeof v6[0];

	for (unsigned i = 0; i < count; i++) {
		if (pairs[i].a == flow->icmp_type || pairs[i].b == flow->icmp_type) {
			*counterpart = pairs[i].a == flow->icmp_type ? pairs[i].b : pairs[i].a;
			return true;
		}
	}
	return false;
}

static uint8_t *put_port(uint8_t *p, uint16_t port)
{
	*p++ = (uint8_t)(port >> 8);
	*p++ = (uint8_t)port;
	return p;
}

void flow_community_id(const struct flow *flow, struct flow_digest *digest, char id[32])
{
	unsigned skip = flow->ip_version == 6 ? 0 : 12, size = 16 - skip;
	const uint8_t *src = flow->src_ip + skip, *dst = flow->dst_ip + skip;
	uint16_t src_port = flow->src_port, dst_port = flow->dst_port;
	uint8_t input[48] = { 0, 0 }, *p = input + 2, sum[SHA1_BYTES] = { 0 }, counterpart;
	bool one_way = false, ports = false;
	int order;

	if (flow->has_icmp) {
		ports = true;
		one_way = !icmp_counterpart(flow, &counterpart);
		src_port = flow->icmp_type;
		dst_port = one_way ? flow->icmp_code : counterpart;
	} else if (flow->has_ports) {
		ports = flow->ip_protocol == 6 || flow->ip_protocol == 17 || flow->ip_protocol == 132;
	}
	order = memcmp(src, dst, size);
	if (!one_way && (order > 0 || (order == 0 && ports && src_port > dst_port))) {
		const uint8_t *address = src;
		uint16_t port = src_port;

		src = dst;
		dst = address;
		src_port = dst_port;
		dst_port = port;
	}
	memcpy(p, src, size);
	memcpy(p + size, dst, size);
	p += 2 * size;
	*p++ = flow->ip_protocol;
	*p++ = 0;
	if (ports)
		p = put_port(put_port(p, src_port), dst_port);
	/* Nothing here can fail that did not in flow_digest_create. */
	EVP_DigestInit_ex(digest->context, digest->sha1, NULL);
	EVP_DigestUpdate(digest->context, input, (size_t)(p - input));
	EVP_DigestFinal_ex(digest->context, sum, NULL);
	id[0] = '1';
	id[1] = ':';
	EVP_EncodeBlock((unsigned char *)id + 2, sum, sizeof sum);
	id[31] = '\0';
}
