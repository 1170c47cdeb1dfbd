"""The tests mirror the package; integration/ runs the real agent."""

import sys

# So that a failed assertion in there shows its values, as one in a test does. A program in here that is measured
# or run by itself does not pay for pytest.
if "pytest" in sys.modules:
    sys.modules["pytest"].register_assert_rewrite("tests.support")
