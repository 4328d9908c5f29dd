"""tenantgate beside other proxies, under the same load in the same run. See docs/benchmark.md."""
