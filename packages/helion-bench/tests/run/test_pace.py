from helion_bench.run.pace import Pace


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def test_without_a_deadline_every_case_has_its_time():
    pace = Pace(None, 3.0)
    assert pace.share(1000) == 3.0 and not pace.expired and pace.room(24) == 24


def test_what_is_left_beside_all_else_is_shared_out():
    clock = Clock()
    pace = Pace(100.0, 3.0, clock)
    clock.now = 20.0
    pace.checked(10, 20.0)  # two seconds a case
    assert pace.share(10) == 3.0
    assert pace.share(20) == 80 / 20 - 2
    clock.now = 40.0
    pace.measured(10.0)  # of twenty seconds, ten were not rounds: three seconds a case by now
    assert pace.share(15) == 60 / 15 - 3
    assert pace.share(60) == 0.0


def test_no_more_cases_are_checked_than_can_be_measured():
    clock = Clock()
    pace = Pace(100.0, 3.0, clock)
    clock.now = 50.0
    pace.checked(10, 24.0)
    assert pace.room(24) == 24, "nothing is known of how long they take"
    for _ in range(10):
        pace.measured(1.0)
    assert pace.room(24) == 10 and pace.room(4) == 4
    clock.now = 80.0
    assert pace.room(24) == 2
    clock.now = 89.0
    assert pace.room(24) == 0 and not pace.expired, "checking alone takes longer"
    clock.now = 100.0
    assert pace.expired
