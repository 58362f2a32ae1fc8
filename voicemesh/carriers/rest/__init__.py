"""What a carrier does when it is asked over its REST API: one small client each."""
