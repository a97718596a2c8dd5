"""What all tests share: how `hypothesis` tries examples. A busy machine is no failure, so no example has a deadline."""

from hypothesis import HealthCheck, settings

settings.register_profile("winnow", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("winnow")
