"""The tests mirror the package; integration/ runs the real agent."""
