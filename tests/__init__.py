"""The tests mirror the package; integration/ runs the real agent."""

import pytest

# So that a failed assertion in there shows its values, as one in a test does.
pytest.register_assert_rewrite("tests.support")
