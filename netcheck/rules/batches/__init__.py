"""Rules about batches that are split over devices."""
