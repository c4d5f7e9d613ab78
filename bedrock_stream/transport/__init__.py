"""The only folder that imports aiohttp: connections, response bodies, slots, proxies, certificates."""
