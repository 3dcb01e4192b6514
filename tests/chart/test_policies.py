"""trivy and checkov find nothing in any example but what has a reason. `make check` runs these; `make chart-policies` prints what they find."""

from __future__ import annotations

import pytest

from tests.chart.examples import EXAMPLES
from tests.chart.policies import EXCEPTIONS, checkov, trivy, unexcused


@pytest.mark.timeout(300)
def test_trivy_finds_nothing_but_exceptions_that_have_a_reason():
    findings = trivy(EXAMPLES)
    assert unexcused(findings) == []
    assert {finding.partition(" ")[0] for finding in findings} == {"KSV113"}, "trivy looked"


@pytest.mark.timeout(300)
def test_checkov_finds_nothing_but_exceptions_that_have_a_reason():
    findings = checkov(EXAMPLES)
    assert unexcused(findings) == []
    assert {finding.partition(" ")[0] for finding in findings} == EXCEPTIONS.keys() - {"KSV113"}, "checkov looked"
