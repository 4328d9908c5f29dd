"""The walk by callbacks, under our own protocol: what upstreams answer."""
