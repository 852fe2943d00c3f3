"""Leases, dead-process locks and the sweep: how lost work is noticed and handed on."""
